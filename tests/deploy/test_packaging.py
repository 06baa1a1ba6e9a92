"""Wheel and source archive: whole, the same by both ways, and at work in an environment of its own."""

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.conftest import ROOT

BUILD = [sys.executable, "-m", "hatchling", "build"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Wheel and source archive."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([*BUILD, "-d", str(folder)], cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    (source,) = folder.glob("*.tar.gz")
    return wheel, source


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_migrations_units_and_licence_are_inside(built: tuple[Path, Path]) -> None:
    held = names(built[0])
    for file in (ROOT / "migrations").rglob("*.*"):
        if "__pycache__" not in file.parts:
            assert f"dicomweb_gateway/_migrations/{file.relative_to(ROOT / 'migrations')}" in held
    assert "dicomweb_gateway/_deploy/import-resources.yaml" in held
    if (ROOT / "systemd").is_dir():
        units = [file.name for file in (ROOT / "systemd").iterdir() if file.suffix in (".service", ".socket")]
        assert all(any(name.endswith(f"/{unit}") for name in held) for unit in units)
    modules = {f"{path.relative_to(ROOT)}" for path in (ROOT / "dicomweb_gateway").rglob("*.py")}
    assert modules <= held
    assert any(name.endswith("/LICENSE") for name in held)
    assert not any(name.startswith("tests/") for name in held)


def test_the_source_archive_makes_the_same_wheel(built: tuple[Path, Path], tmp_path: Path) -> None:
    wheel, source = built
    with tarfile.open(source) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
        archive.extractall(tmp_path)
    (folder,) = tmp_path.iterdir()
    subprocess.run(
        [*BUILD, "-t", "wheel", "-d", str(tmp_path / "again")], cwd=folder, check=True, capture_output=True
    )
    (again,) = (tmp_path / "again").glob("*.whl")
    assert again.name == wheel.name
    assert names(again) == names(wheel)


def test_it_works_in_an_environment_of_its_own(built: tuple[Path, Path], tmp_path: Path) -> None:
    """With the dependencies of this one, but not its copy of the gateway."""
    home = tmp_path / "env"
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index"]
    subprocess.run([*install, str(built[0])], check=True, capture_output=True)
    (packages,) = (home / "lib").glob("python*/site-packages")
    dependencies = next(path for path in sys.path if path.endswith("site-packages"))
    (packages / "dependencies.pth").write_text(dependencies)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["DATA_DIR"] = str(tmp_path / "data")
    (tmp_path / "data").mkdir()

    def run(*words: str) -> str:
        command = [str(home / "bin" / "dicomweb-gateway"), *words]
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert version("dicomweb-gateway") in run("--version")
    assert "the index is at revision" in run("db", "upgrade")
    where = [str(python), "-c", "import dicomweb_gateway as g; print(g.__path__[0])"]
    found = subprocess.run(where, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert found.stdout.startswith(str(packages))
