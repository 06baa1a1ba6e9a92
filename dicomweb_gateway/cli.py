"""The command `dicomweb-gateway`: click options in, one call each (DESIGN 3).

Exit codes: 0 done, 1 failed, 2 wrong usage or settings.
"""

import os
import sys
from pathlib import Path
from typing import Any

import click
import orjson

from dicomweb_gateway.cli_access import tokens, users
from dicomweb_gateway.cli_common import SAMPLE_NAMES, Given
from dicomweb_gateway.cli_data_stores import data_stores
from dicomweb_gateway.cli_import import import_files
from dicomweb_gateway.cli_index import index
from dicomweb_gateway.cli_service import install_service, reload
from dicomweb_gateway.cli_verify import verify_frames
from dicomweb_gateway.cli_workflow import workflow
from dicomweb_gateway.errors import GatewayError, SettingsError
from dicomweb_gateway.release import release
from dicomweb_gateway.service.logs import set_up_logging
from dicomweb_gateway.settings import Settings, shown, source_of


class _Commands(click.Group):
    """Turns errors of ours into one sentence and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(2)
        except GatewayError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(1)
        except OSError as error:
            click.echo(f"error: {error.strerror or error}: {error.filename or ''}", err=True)
            sys.exit(1)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(release())
@click.option("--config", type=click.Path(path_type=Path), help="TOML file with settings.")
@click.option("--set", "pairs", multiple=True, metavar="NAME=VALUE", help="Any setting; repeatable.")
@click.pass_context
def main(ctx: click.Context, config: Path | None, pairs: tuple[str, ...]) -> None:
    """DICOMweb gateway for AWS HealthImaging, with HealthImaging built in for machines without AWS."""
    # one BLAS thread: nothing here multiplies matrices, idle pools cost memory in every process, and numpy
    # starts them when it is imported, which must not be before a master forks
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    ctx.obj = Given(config, pairs)


@main.command()
@click.option("--dicom", type=click.Path(exists=True, path_type=Path), multiple=True, metavar="PATH")
@click.option("--samples", multiple=True, type=click.Choice(SAMPLE_NAMES), help="Repeatable.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Where everything is kept.")
@click.option("--host")
@click.option("--port", type=int)
@click.pass_obj
def demo(
    given: Given,
    dicom: tuple[Path, ...],
    samples: tuple[str, ...],
    data: Path | None,
    host: str | None,
    port: int | None,
) -> None:
    """Serve DICOM files of this machine through the built-in HealthImaging; no AWS account needed."""
    from dicomweb_gateway.service.demo import run_demo

    def make_settings(fixed: dict[str, Any]) -> Settings:
        return given.alone(**{"data_dir": data, "host": host, "port": port, **fixed})

    settings = make_settings({})
    set_up_logging(settings.log_level, settings.log_format)
    sys.exit(run_demo(make_settings, dicom, samples))


@main.command()
@click.option("--host")
@click.option("--port", type=int)
@click.pass_obj
def serve(given: Given, host: str | None, port: int | None) -> None:
    """Serve the configured index and HealthImaging."""
    from dicomweb_gateway.service.listening import listen
    from dicomweb_gateway.service.master import open_index, run_gateway, run_once
    from dicomweb_gateway.service.notify import Notifier

    def read() -> Settings:
        return given.settings(host=host, port=port)

    notifier = Notifier.of_environment()
    settings = read()
    set_up_logging(settings.log_level, settings.log_format)
    listening = listen(settings)
    code = run_once(lambda: open_index(settings))
    sys.exit(code or run_gateway(settings, listening, read, notifier=notifier))


@main.command()
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), default=Path("healthimaging"))
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=int, default=8090, show_default=True)
@click.option("--region", default="us-east-1", show_default=True)
@click.option("--storage-format", type=click.Choice(["HTJ2K", "JPEG_2000_LOSSLESS"]), default="HTJ2K")
@click.option("--workers", type=int, help="Import processes; default one per core.")
@click.option("--s3-endpoint", metavar="URL", help="S3 that import jobs may name with s3:// URIs.")
@click.option("--skip-unchanged", is_flag=True, help="Do not read files again that were imported before.")
@click.option("--latency-ms", type=float, default=0, help="Added to every answer.")
@click.option("--failure-rate", type=float, default=0, help="Share of requests that answer 500.")
@click.option("--corrupt-rate", type=float, default=0, help="Share of frames that leave cut in half.")
@click.option("--throttle", is_flag=True, help="Enforce HealthImaging's rates with 429.")
@click.option("--throttle-scale", type=float, default=1, help="Factor on those rates.")
@click.option("--conflict", type=int, default=0, help="409 answers before an image set's metadata come.")
@click.option("--rules", multiple=True, metavar="KIND[,NAME=VALUE]...", help="A fault; repeatable.")
@click.option("--seed", type=int, help="What the dice start from.")
@click.option("--clock-ahead", type=float, default=0, help="Seconds that the service's clock is ahead.")
@click.option("--verify-signatures", multiple=True, metavar="ID:SECRET[:TOKEN]", help="Refuse others' calls.")
@click.option("--boxed", is_flag=True, help="Frames in JP2 boxes without TLM.")
@click.option("--padded", is_flag=True, help="Metadata texts keep DICOM's padding.")
@click.option("--multi-level-checksums", is_flag=True, help="Several checksums a frame.")
@click.option("--without-stored-syntax", is_flag=True, help="No StoredTransferSyntaxUID for HTJ2K.")
@click.option("--pixel-data-null", is_flag=True, help="PixelData: null in the metadata.")
@click.option("--events", metavar="TARGET", help="file:PATH, exec:COMMAND, http://… or sqs:QUEUE-URL.")
@click.option("--event-loss", type=float, default=0, help="Share of events that are not sent.")
@click.option("--event-duplicates", type=float, default=0, help="Share of events that are sent twice.")
@click.option("--events-reordered", is_flag=True, help="Of each two events the second comes first.")
@click.option("--events-as-documented", is_flag=True, help="imagesetId in events, not imageSetId.")
@click.option("--log-level", default="info", type=click.Choice(["debug", "info", "warning", "error"]))
def emulator(
    data: Path,
    host: str,
    port: int,
    log_level: str,
    storage_format: str,
    rules: tuple[str, ...],
    verify_signatures: tuple[str, ...],
    **switches: Any,
) -> None:
    """AWS HealthImaging on this machine, for development and tests."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    set_up_logging(log_level, None)
    from dicomweb_gateway.emulator.config import EmulatorConfig
    from dicomweb_gateway.emulator.fault_rules import rule_of_text
    from dicomweb_gateway.emulator.server import run_emulator
    from dicomweb_gateway.emulator.signatures import secrets_of_texts
    from dicomweb_gateway.service.memory import bound_allocator

    bound_allocator()

    try:
        config = EmulatorConfig(
            data_dir=data,
            lossless_storage_format=storage_format,
            rules=tuple(map(rule_of_text, rules)),
            verify_signatures=secrets_of_texts(verify_signatures),
            **switches,
        )
    except ValueError as error:
        raise SettingsError(str(error)) from None
    run_emulator(
        config, host, port, lambda bound: click.echo(f"HealthImaging emulator on http://{host}:{bound}")
    )


@main.group()
def db() -> None:
    """The metadata index's schema."""


@db.command("upgrade")
@click.pass_obj
def db_upgrade(given: Given) -> None:
    """Create or bring up to date the tables of the gateway; an index made by AWS is kept as it is."""
    from dicomweb_gateway.index.migrate import current_revision, upgrade

    url = given.settings().index_url
    upgrade(url)
    click.echo(f"the index is at revision {current_revision(url)}")


@db.command("check")
@click.pass_obj
def db_check(given: Given) -> None:
    """Say whether this version serves the schema; exit 1 when it does not."""
    from dicomweb_gateway.index.migrate import current_revision, head_revision, standing_of

    url = given.settings().index_url
    current = current_revision(url)
    standing = standing_of(current)
    click.echo(f"revision {current or 'none'}, this version's is {head_revision()}: {standing.value}")
    sys.exit(0 if standing.is_served else 1)


@main.command()
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def config(given: Given, as_json: bool) -> None:
    """The effective settings and where each came from; secrets are masked."""
    settings = given.settings()
    rows = {
        name: {"value": shown(value), "source": source_of(name, given.overrides, given.config)}
        for name, value in settings.model_dump().items()
    }
    if as_json:
        click.echo(orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode())
        return
    width = max(map(len, rows))
    for name, row in rows.items():
        click.echo(f"{name.upper():{width}}  {row['value']}  ({row['source']})")


@main.command()
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def check(given: Given, as_json: bool) -> None:
    """Database, credentials, HealthImaging, disk, limits: a table; exit 1 when something is wrong."""
    from dicomweb_gateway.checks import run_checks

    results = run_checks(given.settings())
    if as_json:
        click.echo(orjson.dumps([r._asdict() for r in results], option=orjson.OPT_INDENT_2).decode())
    else:
        for result in results:
            click.echo(f"{'ok  ' if result.ok else 'FAIL'}  {result.name:14}  {result.detail}")
    sys.exit(0 if all(result.ok for result in results) else 1)


main.add_command(index)
main.add_command(import_files)
main.add_command(data_stores)
main.add_command(verify_frames)
main.add_command(workflow)
main.add_command(reload)
main.add_command(install_service)
main.add_command(tokens)
main.add_command(users)
