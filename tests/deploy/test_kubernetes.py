"""Kubernetes manifests: what they say of each other holds, and their settings are settings of the gateway."""

from typing import Any

import pytest
import yaml

from dicomweb_gateway.settings import Settings, load_settings
from tests.deploy.recipes import DEPLOY, of_last_stage

FOLDER = DEPLOY / "kubernetes"
SECRET = {
    "DATABASE_URL": "mysql+pymysql://gateway:secret@db/ahiindex",
    "REDIS_URL": "rediss://:secret@redis:6379/0",
    "BOUNDARY_KEY": "k" * 32,
}


def documents() -> list[dict[str, Any]]:
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    return [
        document
        for name in kustomization["resources"]
        for document in yaml.safe_load_all((FOLDER / name).read_text())
    ]


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [document for document in documents() if document["kind"] == kind]


def pods() -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one["spec"]["template"] for one in of_kind("Deployment")}


def containers() -> list[dict[str, Any]]:
    specs = [pod["spec"] for pod in pods().values()]
    return [one for spec in specs for one in (*spec.get("initContainers", ()), *spec["containers"])]


@pytest.mark.parametrize("name", ["gateway.yaml", "index-watch.yaml"])
def test_the_schemas_of_kubernetes_hold(name: str) -> None:
    validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    for document in yaml.safe_load_all((FOLDER / name).read_text()):
        validate.validate(document, "1.30", strict=True)


def test_nothing_runs_as_root_or_writes_outside_its_volumes() -> None:
    user = of_last_stage("USER")[-1].partition(":")[0]
    for pod in pods().values():
        security = pod["spec"]["securityContext"]
        assert security["runAsNonRoot"]
        assert str(security["runAsUser"]) == user
        assert not pod["spec"]["automountServiceAccountToken"]
    for container in containers():
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"]
        assert not security["allowPrivilegeEscalation"]
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
        assert container["resources"]["requests"]["cpu"]


def test_selectors_meet_the_pods() -> None:
    labels = pods()["dicomweb-gateway"]["metadata"]["labels"]
    (service,) = of_kind("Service")
    (budget,) = of_kind("PodDisruptionBudget")
    (scaler,) = of_kind("HorizontalPodAutoscaler")
    (policy,) = of_kind("NetworkPolicy")
    assert service["spec"]["selector"] == labels
    assert budget["spec"]["selector"]["matchLabels"] == labels
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert scaler["spec"]["scaleTargetRef"]["name"] in pods()
    for deployment in of_kind("Deployment"):
        pod = deployment["spec"]["template"]
        assert deployment["spec"]["selector"]["matchLabels"] == pod["metadata"]["labels"]
        volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
        mounted = {m["name"] for c in pod["spec"]["containers"] for m in c["volumeMounts"]}
        assert mounted == volumes
    others = [pod["metadata"]["labels"] for name, pod in pods().items() if name != "dicomweb-gateway"]
    assert all(not service["spec"]["selector"].items() <= other.items() for other in others)


def test_probes_ask_what_is_there_without_a_login() -> None:
    gateway, _ = pods()["dicomweb-gateway"]["spec"]["containers"]
    asked = {
        name: gateway[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")
    }
    assert asked == {"startup": "/healthcheck", "liveness": "/healthcheck", "readiness": "/health"}


def test_secrets_are_named_and_not_held() -> None:
    (held,) = of_kind("ConfigMap")
    assert not set(held["data"]) & set(SECRET)
    assert of_kind("Secret") == []
    references = {
        ref["secretRef"]["name"] for c in containers() for ref in c.get("envFrom", ()) if "secretRef" in ref
    }
    assert references == {"dicomweb-gateway"}


def test_the_environment_is_accepted_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    (held,) = of_kind("ConfigMap")
    for container in (one for one in containers() if "envFrom" in one):
        given = {**held["data"], **SECRET, **{e["name"]: e["value"] for e in container.get("env", ())}}
        assert {name.lower() for name in given} <= set(Settings.model_fields)
        with monkeypatch.context() as environment:
            for name, value in given.items():
                environment.setenv(name, value)
            settings = load_settings()
        assert settings.has_login
        assert settings.login_modes == ("oidc",)
