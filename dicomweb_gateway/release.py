"""The version of this gateway, which stands in pyproject.toml alone."""

import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_NAME = "dicomweb-gateway"
_PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def release() -> str:
    """The version, as it was installed or, in a folder that was only copied, as the project file says."""
    try:
        return version(_NAME)
    except PackageNotFoundError:
        return str(tomllib.loads(_PROJECT.read_text())["project"]["version"])
