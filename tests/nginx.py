"""nginx with a private configuration: one worker, and nothing outside of one folder."""

import os
import pwd
import subprocess
from pathlib import Path

from tests.databases import find_program

_CONFIGURATION = """
daemon off;
{user}worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections {connections}; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{inside}
}}
"""


def program() -> str | None:
    """Where nginx lies, None when it is not installed."""
    return find_program("nginx")


def start(program: str, folder: Path, inside: str, connections: int = 512) -> subprocess.Popen[bytes]:
    """Run it in `folder`, with `inside` in its `http` block."""
    # root's own workers, as nobody may not read private folders
    user = f"user {pwd.getpwuid(0).pw_name};\n" if os.geteuid() == 0 else ""
    file = folder / "nginx.conf"
    file.write_text(_CONFIGURATION.format(folder=folder, user=user, connections=connections, inside=inside))
    return subprocess.Popen([program, "-p", str(folder), "-c", str(file), "-e", str(folder / "error.log")])
