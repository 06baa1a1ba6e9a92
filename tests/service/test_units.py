"""The systemd units, as `install-service` writes them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from dicomweb_gateway.cli import main
from dicomweb_gateway.errors import SettingsError
from dicomweb_gateway.service.units import service_files

UNITS = ("dicomweb-gateway.socket", "dicomweb-gateway.service", "dicomweb-gateway-index-watch.service")
ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    done = CliRunner().invoke(main, ["install-service", "--root", str(tmp_path), "--user", "imaging"])
    assert done.exit_code == 0, done.output
    assert "systemctl enable" in done.output
    return tmp_path


def text(root: Path, name: str) -> str:
    return (root / "etc/systemd/system" / name).read_text()


def test_units_are_for_this_installation(root: Path) -> None:
    service = text(root, "dicomweb-gateway.service")
    command = str(Path(sys.executable).parent / "dicomweb-gateway")
    assert f"\nExecStart={command} --config /etc/dicomweb-gateway/config.toml serve\n" in service
    assert f"\nExecReload={command} --config" in service
    assert "\nUser=imaging\nGroup=imaging\n" in service
    assert "\nu imaging - " in (root / "etc/sysusers.d/dicomweb-gateway.conf").read_text()
    assert " root imaging -\n" in (root / "etc/tmpfiles.d/dicomweb-gateway.conf").read_text()
    for name in UNITS:
        assert "/opt/" not in text(root, name)
    assert not list(root.rglob(".*.new"))


def test_settings_of_an_administrator_stay(root: Path) -> None:
    kept = root / "etc/dicomweb-gateway/environment"
    assert kept.stat().st_mode & 0o777 == 0o640
    kept.write_text("PORT=9\n")
    changed = root / "etc/systemd/system/dicomweb-gateway.socket"
    changed.write_text("old")
    done = CliRunner().invoke(main, ["install-service", "--root", str(root), "--user", "imaging"])
    assert kept.read_text() == "PORT=9\n"
    assert "ListenStream" in changed.read_text()
    states = dict(reversed(line.split()) for line in done.output.splitlines() if str(root) in line)
    assert states[str(kept)] == "kept"
    assert states[str(changed)] == "written"
    assert states[str(root / "etc/systemd/system/dicomweb-gateway.service")] == "unchanged"


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["install-service", "--root", str(tmp_path), "--dry-run"])
    assert done.exit_code == 0
    assert "ExecStart=" in done.output
    assert list(tmp_path.iterdir()) == []


def test_one_socket_for_each_web_process() -> None:
    socket, *_ = service_files("a", "[::]:8443", "/usr/bin/dicomweb-gateway", 3)
    assert re.findall(r"^ListenStream=(.*)$", socket.text, re.MULTILINE) == ["[::]:8443"] * 3


@pytest.mark.parametrize(
    ("user", "address", "command"),
    [
        ("a b", "127.0.0.1:80", "/usr/bin/x"),
        ("a\nExecStart=/bin/sh", "127.0.0.1:80", "/usr/bin/x"),
        ("a", "127.0.0.1", "/usr/bin/x"),
        ("a", "127.0.0.1:99999", "/usr/bin/x"),
        ("a", "127.0.0.1:80\nExec=", "/usr/bin/x"),
        ("a", "127.0.0.1:80", "/my folder/x"),
        ("a", "127.0.0.1:80", "/x%h"),
    ],
)
def test_what_a_unit_cannot_hold_is_refused(user: str, address: str, command: str) -> None:
    with pytest.raises(SettingsError):
        service_files(user, address, command)


@needs_systemd
def test_systemd_finds_nothing_wrong(root: Path) -> None:
    folder = root / "etc/systemd/system"
    for name in UNITS:
        path = folder / name
        # this machine may have no such script; what is verified is the rest
        path.write_text(re.sub(r"=\S+/dicomweb-gateway --config", "=/bin/true --config", path.read_text()))
    told = subprocess.run(
        [str(ANALYZE), "verify", *(str(folder / name) for name in UNITS)],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in told.stderr.splitlines() if "dicomweb" in line]
    assert ours == []


@needs_systemd
@pytest.mark.parametrize("name", [name for name in UNITS if name.endswith(".service")])
def test_the_sandbox_is_in_the_green(root: Path, name: str) -> None:
    told = subprocess.run(
        [str(ANALYZE), "security", "--offline=true", str(root / "etc/systemd/system" / name)],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", told.stdout)
    if found is None:
        pytest.skip(f"this systemd-analyze cannot look at files: {told.stderr.strip()[:100]}")
    assert float(found[1]) <= 2.0
