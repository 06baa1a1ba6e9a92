"""OHIF that the gateway itself serves at /viewer, in Chromium: without a login, and with one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dicomweb_gateway.workflow.samples import write_synthetic_series

from .login_page import CLIENT, LoginPage, served_login
from .node import need_chromium, need_ohif, need_packages
from .ohif import OF_OHIF, drive
from .running import Demo, start_demo

PATIENCE = 90_000


@pytest.fixture(scope="module")
def login() -> Iterator[LoginPage]:
    with served_login() as page:
        yield page


@pytest.fixture(scope="module", params=["none", "oidc"])
def demo(
    request: pytest.FixtureRequest, login: LoginPage, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Demo]:
    need_chromium()
    folder = tmp_path_factory.mktemp("viewer")
    options = [f"ohif_dist={need_ohif()}"]
    if request.param == "oidc":
        options += [f"oidc_issuer={login.issuer}", f"oidc_client_ids={CLIENT}"]
    write_synthetic_series(folder / "in", slices=4, size=128)
    words = [part for option in options for part in ("--set", option)]
    demo = start_demo(folder / "data", [folder / "in"], *words)
    yield demo
    assert demo.stop() == 0


def test_a_study_is_listed_and_drawn(
    demo: Demo, login: LoginPage, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> None:
    with_login = "oidc" in request.node.name
    assert demo.session.get(f"{demo.base}/studies", timeout=30).status_code == (401 if with_login else 200)
    task: dict[str, Any] = {
        "chromium": need_chromium(),
        "profile": str(tmp_path_factory.mktemp("profile")),
        "base": demo.base,
        "viewer": f"{demo.root}/viewer",
        "listed": 1,
        "studies": [{"uid": study_uid(demo, login if with_login else None), "series": 1, "overlay": False}],
        "patience": PATIENCE,
    }
    before = login.logins
    seen = drive(need_packages(), task)
    assert [error for error in seen["errors"] if not any(own in error for own in OF_OHIF)] == []
    # on its way to the login page OHIF lets go of what it was loading
    assert [one for one in seen["failures"] if not (with_login and "ERR_ABORTED" in one)] == []
    assert len(seen["rows"]) == len(seen["studies"]) == 1
    assert (login.logins > before) == with_login


def study_uid(demo: Demo, login: LoginPage | None) -> str:
    """The only study's, asked with a token where that is needed."""
    headers = {}
    if login is not None:
        claims = {"iss": login.issuer, "sub": "test", "client_id": CLIENT, "iat": 0, "exp": 1 << 33}
        headers = {"Authorization": f"Bearer {login.signed(claims)}"}
    (study,) = demo.session.get(f"{demo.base}/studies", headers=headers, timeout=30).json()
    return str(study["0020000D"]["Value"][0])


def test_files_come_with_the_types_that_a_browser_needs(demo: Demo) -> None:
    dist = Path(need_ohif())
    for suffix, kind in ((".wasm", "application/wasm"), (".js", "text/javascript; charset=utf-8")):
        for file in sorted(dist.glob(f"*{suffix}"))[:3]:
            if file.name == "app-config.js":
                continue
            found = demo.session.get(f"{demo.root}/viewer/{file.name}", timeout=30)
            assert (found.status_code, found.headers["Content-Type"]) == (200, kind)
            if suffix == ".wasm":
                assert found.content == file.read_bytes()
