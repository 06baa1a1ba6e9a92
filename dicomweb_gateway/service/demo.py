"""`demo`: the emulator, an embedded index and the gateway on this machine, filled from DICOM folders."""

import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dicomweb_gateway.errors import SettingsError
from dicomweb_gateway.service.listening import Listening, listen_tcp
from dicomweb_gateway.service.master import (
    helper_child,
    run_gateway,
    run_once,
    upgrade_index,
    upstream_child,
)
from dicomweb_gateway.service.own_emulator import emulator_command, free_port
from dicomweb_gateway.settings import Settings
from dicomweb_gateway.workflow.progress import Progress, write_progress

_REGION = "us-east-1"


def run_demo(
    make_settings: Callable[[dict[str, Any]], Settings], sources: Sequence[Path], samples: Sequence[str] = ()
) -> int:
    """Run until Ctrl-C or SIGTERM; the exit code.

    `make_settings` makes the settings out of what the demo itself decides: endpoint and public URL.
    `sources` are DICOM files and folders, `samples` names of `workflow.samples`; none of both stands for some
    of these.
    """
    settings = make_settings({})
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _held(settings.data_dir):
        return _run_held(make_settings, sources, samples)


def _run_held(
    make_settings: Callable[[dict[str, Any]], Settings],
    sources: Sequence[Path],
    samples: Sequence[str],
) -> int:
    emulator_port = free_port()
    decided: dict[str, Any] = {
        "ahi_endpoint": f"http://127.0.0.1:{emulator_port}",
        "ahi_region": _REGION,
        # also with a login it is for this machine, unless the settings say otherwise
        "host": make_settings({}).host or "127.0.0.1",
    }
    settings = make_settings(decided)
    count = settings.web_process_count
    listening = Listening.on(listen_tcp(settings.listen_host, settings.port, count), count)
    if settings.public_url is None and not settings.is_exposed:
        decided["public_url"] = f"http://{_url_host(settings)}:{listening.port}"
        settings = make_settings(decided)
    write_progress(settings.data_dir, Progress(0, 0))
    code = run_once(lambda: upgrade_index(settings))
    if code:
        return code
    resolved = [path.resolve() for path in sources]
    helpers = [
        upstream_child(
            "emulator", emulator_command(settings.data_dir / "emulator", emulator_port, "--skip-unchanged")
        ),
        helper_child("loader", lambda: _load(settings, resolved, samples, listening.port)),
    ]
    return run_gateway(settings, listening, lambda: make_settings(decided), helpers)


@contextmanager
def _held(data_dir: Path) -> Iterator[None]:
    """The folder is ours until the block ends; SettingsError when another demo has it."""
    with (data_dir / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(f"another demo is running on {data_dir}") from None
        yield


def _load(settings: Settings, sources: Sequence[Path], samples: Sequence[str], port: int) -> None:
    """The loader's process. Its imports, SDK and SQL engine among them, stay out of the master."""
    from dicomweb_gateway.workflow.loader import Loader

    endpoint = settings.ahi_endpoint or ""
    loader = Loader(endpoint, _REGION, settings.index_url, settings.data_dir, settings.zone)
    print(loader.run(sources, samples), flush=True)
    print(_how_to_use(settings, port), flush=True)


def _how_to_use(settings: Settings, port: int) -> str:
    root = settings.public_url or f"http://{_url_host(settings)}:{port}"
    url = f"{root.rstrip('/')}{settings.ae_path[0]}"
    login = "-H 'Authorization: …' " if settings.has_login else ""
    return (
        f"\nready: point a DICOMweb viewer (OHIF, Weasis) at  {url}\n"
        f"try:   curl {login}'{url}/studies?limit=3'\n"
        f"       curl {root}/health\n"
        "stop with Ctrl-C\n"
    )


def _url_host(settings: Settings) -> str:
    host = settings.listen_host
    return f"[{host}]" if ":" in host else host
