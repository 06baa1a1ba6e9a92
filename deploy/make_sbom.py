"""The software bill of materials (CycloneDX 1.6) of the pinned dependencies: make_sbom.py [--check].

Names and versions are those of requirements.txt beside this file, licences those that the installed packages
state, so run it in an environment that was made of that file. `--check` compares, and writes nothing.
"""

import json
import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

FOLDER = Path(__file__).parent
TARGET = FOLDER / "sbom.cdx.json"
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


def pins() -> list[tuple[str, str]]:
    """(name, version) of every pinned package, names as PyPI normalizes them."""
    found = _PIN.findall((FOLDER / "requirements.txt").read_text())
    return sorted((re.sub(r"[-_.]+", "-", name).lower(), version) for name, version in found)


def sbom() -> dict[str, Any]:
    """The document; the same for the same pins."""
    project = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text())["project"]
    name, version = project["name"], project["version"]
    own = f"pkg:pypi/{name}@{version}"
    components = [_component(*pin) for pin in pins()]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, own + repr(pins()))}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": name,
                "version": version,
                "purl": own,
                "licenses": [{"expression": project["license"]}],
            }
        },
        "components": components,
        "dependencies": [{"ref": own, "dependsOn": [one["bom-ref"] for one in components]}],
    }


def _component(name: str, version: str) -> dict[str, Any]:
    purl = f"pkg:pypi/{name}@{version}"
    made = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    stated = _licence(name)
    return {**made, "licenses": stated} if stated else made


def _licence(name: str) -> list[dict[str, Any]]:
    """The licence that the installed package states: as an expression, by classifiers, or in its words."""
    try:
        told = metadata(name)
    except PackageNotFoundError:
        return []
    if told.get("License-Expression"):
        return [{"expression": told["License-Expression"]}]
    kinds = [one.rpartition(" :: ")[2] for one in told.get_all("Classifier") or [] if "License ::" in one]
    words = kinds or [line for line in (told.get("License") or "").splitlines()[:1] if line.strip()]
    return [{"license": {"name": word}} for word in words]


def main(arguments: list[str]) -> int:
    """Write the document, or say whether the one that is there has these pins."""
    if "--check" not in arguments:
        TARGET.write_text(json.dumps(sbom(), indent=1) + "\n")
        return 0
    held = json.loads(TARGET.read_text())
    wanted = sbom()
    same = [(one["name"], one["version"]) for one in held["components"]] == pins()
    same = same and held["metadata"]["component"]["version"] == wanted["metadata"]["component"]["version"]
    print("the bill agrees" if same else "sbom.cdx.json is not of requirements.txt: run make_sbom.py")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
