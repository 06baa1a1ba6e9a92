"""The version, installed or copied."""

import tomllib
from importlib.metadata import PackageNotFoundError

from dicomweb_gateway import release
from tests.conftest import ROOT


def test_a_copied_folder_knows_its_version(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    stated = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert release.release() == stated
    monkeypatch.setattr(release, "version", missing)
    assert release.release() == stated
