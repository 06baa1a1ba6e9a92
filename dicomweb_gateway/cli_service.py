"""The commands `reload` and `install-service`: a gateway that runs as a service."""

from pathlib import Path

import click

from dicomweb_gateway.cli_common import Given

_MARGIN = 120.0
"""Seconds beyond DRAIN_SECONDS that a reload may take."""


@click.command()
@click.option("--port", type=int, help="Of which gateway, where several share DATA_DIR.")
@click.pass_obj
def reload(given: Given, port: int | None) -> None:
    """Have the running gateway take settings and rules anew; no request fails. Exit 1 if it refuses."""
    from dicomweb_gateway.service.pid_file import reload as reload_gateway

    settings = given.settings()
    pid = reload_gateway(settings.data_dir, port or settings.port or None, settings.drain_seconds + _MARGIN)
    click.echo(f"the gateway with pid {pid} has reloaded")


@click.command("install-service")
@click.option("--user", default="dicomweb-gateway", show_default=True, help="Whom the service runs as.")
@click.option("--address", default="127.0.0.1:8080", show_default=True, metavar="HOST:PORT")
@click.option("--root", type=click.Path(file_okay=False, path_type=Path), default=Path("/"), hidden=True)
@click.option("--dry-run", is_flag=True, help="Print the files instead of writing them.")
def install_service(user: str, address: str, root: Path, dry_run: bool) -> None:
    """Write systemd units for this installation; they are neither enabled nor started."""
    from dicomweb_gateway.service.units import service_files, write_files

    files = service_files(user, address)
    if dry_run:
        for file in files:
            click.echo(f"# /{file.path} (mode {file.mode:o})\n{file.text}")
        return
    for path, state in write_files(files, root):
        click.echo(f"{state:9} {path}")
    click.echo(
        "\nnext:\n"
        "  systemd-sysusers && systemd-tmpfiles --create\n"
        "  edit /etc/dicomweb-gateway/environment and /etc/dicomweb-gateway/config.toml\n"
        "  systemctl daemon-reload\n"
        "  systemctl enable --now dicomweb-gateway.socket dicomweb-gateway.service\n"
        "  systemctl enable --now dicomweb-gateway-index-watch.service   # with INDEX_QUEUE_URL"
    )
