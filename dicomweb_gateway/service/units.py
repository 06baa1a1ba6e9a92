"""systemd units for this installation, out of those in `systemd/`."""

import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dicomweb_gateway.errors import SettingsError

_PACKAGE = Path(__file__).parents[1]
_PLACES = (_PACKAGE / "_systemd", _PACKAGE.parent / "systemd")
"""In a wheel the units lie inside the package, in an editable install beside it."""
_COMMAND = "/opt/dicomweb-gateway/bin/dicomweb-gateway"
_USER = "dicomweb-gateway"
_STREAM = "ListenStream=127.0.0.1:8080\n"
_UNITS = "etc/systemd/system"
_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,30}")
_ADDRESS = re.compile(r"(?:[0-9.]+|\[[0-9a-fA-F:]+\]):(\d{1,5})")
_MOST_PROCESSES = 8
_KINDS = ("sysusers.d", "tmpfiles.d")


@dataclass(frozen=True, slots=True)
class ServiceFile:
    """`path` below the root; `kept`: one that is there already is the administrator's."""

    path: str
    text: str
    mode: int = 0o644
    kept: bool = False


def service_files(
    user: str, address: str, command: str | None = None, processes: int | None = None
) -> list[ServiceFile]:
    """All files, for `command` (this installation's) with a socket for each of `processes`; SettingsError."""
    if not _NAME.fullmatch(user):
        raise SettingsError(f"--user: {user!r} is no name of a user")
    port = _ADDRESS.fullmatch(address)
    if port is None or not 0 < int(port[1]) < 65536:
        raise SettingsError("--address: write ADDRESS:PORT, such as 127.0.0.1:8080 or [::]:8080")
    command = command or _own_command()
    if re.search(r"[\s%$\"'\\;]", command):
        raise SettingsError(f"{command}: systemd cannot take this path as it is")
    count = processes or min(_MOST_PROCESSES, len(os.sched_getaffinity(0)))

    def made(name: str) -> str:
        text = (_folder() / name).read_text()
        text = text.replace(_STREAM, f"ListenStream={address}\n" * count).replace(_COMMAND, command)
        text = re.sub(rf"^(User|Group)={_USER}$", rf"\1={user}", text, flags=re.MULTILINE)
        text = re.sub(rf"^u {_USER} ", f"u {user} ", text, flags=re.MULTILINE)
        return re.sub(rf" root {_USER} ", f" root {user} ", text)

    units = ("dicomweb-gateway.socket", "dicomweb-gateway.service", "dicomweb-gateway-index-watch.service")
    folder = "etc/dicomweb-gateway"
    return [
        *(ServiceFile(f"{_UNITS}/{name}", made(name)) for name in units),
        *(ServiceFile(f"etc/{kind}/{_USER}.conf", made(f"{kind}/{_USER}.conf")) for kind in _KINDS),
        *(
            ServiceFile(f"{folder}/{name}", made(name), 0o640, True)
            for name in ("environment", "config.toml")
        ),
    ]


def write_files(files: Iterable[ServiceFile], root: Path) -> Sequence[tuple[Path, str]]:
    """Write `files` below `root`; each path with `written`, `unchanged` or `kept`."""
    told = []
    for file in files:
        path = root / file.path
        if path.exists() and (file.kept or path.read_text() == file.text):
            told.append((path, "kept" if file.kept else "unchanged"))
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.new")
        fresh.touch(file.mode)
        fresh.write_text(file.text)
        fresh.chmod(file.mode)
        fresh.replace(path)
        told.append((path, "written"))
    return told


def _folder() -> Path:
    for place in _PLACES:
        if place.is_dir():
            return place
    raise SettingsError("this installation lacks its systemd units")


def _own_command() -> str:
    """The script beside this interpreter; services see neither /home nor PATH of whoever installs them."""
    return str(Path(sys.executable).parent / "dicomweb-gateway")
