"""`dicomweb-gateway import`: files of this machine into HealthImaging, and into the index."""

import sys
from pathlib import Path

import click

from dicomweb_gateway.cli_common import HEALTHIMAGING_ID, NAMED_PATH, Given, report, resumable


@click.command("import")
@click.argument("paths", nargs=-1, required=True, type=NAMED_PATH, metavar="PATH...")
@click.option("--datastore", type=HEALTHIMAGING_ID, help="Data store id; default: the only one.")
@click.option("--bucket", help="IMPORT_BUCKET for this run.")
@click.option(
    "--workers", type=click.IntRange(1, 128), default=16, show_default=True, help="Uploads at once."
)
@click.option("--again", is_flag=True, help="Import also files that were imported as they are.")
@click.option(
    "--delete-staged", is_flag=True, help="Delete the files from the bucket when their job is over."
)
@click.option("--no-index", is_flag=True, help="Leave the index to `index sync` or `index watch`.")
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="How long a job is followed; default: to its end.",
)
@click.option("--report", "report_path", type=click.Path(path_type=Path), help="File for the list of files.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def import_files(
    given: Given,
    paths: tuple[Path, ...],
    datastore: str | None,
    bucket: str | None,
    workers: int,
    again: bool,
    delete_staged: bool,
    no_index: bool,
    wait: float | None,
    report_path: Path | None,
    as_json: bool,
) -> None:
    """Find DICOM below PATHs, import it, say file by file what did not come in; exit 1 when some did not.

    A run that was broken off, however it was, goes on when the same command is given again.
    """
    from dicomweb_gateway.service.importing import make_import
    from dicomweb_gateway.workflow.importing.report import write_file_report
    from dicomweb_gateway.workflow.steps import Meter

    settings = given.settings(import_bucket=bucket)
    meter = Meter()
    with (
        resumable(meter.finish),
        make_import(settings, datastore, workers, again, delete_staged, wait, not no_index, meter) as made,
    ):
        found = made.importer.run(paths)
        meter.finish()
        path = report_path or made.folder / f"{found.run}.ndjson"
        lines = write_file_report(made.ledger, found.run, path)
        if as_json:
            report(True, {**found.row(), "report": str(path)})
        else:
            for line in found.lines(made.ledger):
                click.echo(line)
            if lines:
                click.echo(f"file by file: {path}")
    sys.exit(0 if found.is_fine else 1)
