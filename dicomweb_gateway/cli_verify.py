"""`dicomweb-gateway verify`: every frame fetched, decoded and compared with its metadata; fast export too."""

import sys
from pathlib import Path
from typing import Any

import click
import orjson

from dicomweb_gateway.cli_common import HEALTHIMAGING_ID, Given, report, resumable
from dicomweb_gateway.errors import SettingsError

_ONE_OF = "name one of --study, --series, --image-set, --job, --all"


@click.command("verify")
@click.option("--study", metavar="UID")
@click.option("--series", metavar="UID")
@click.option(
    "--image-set", "image_sets", type=HEALTHIMAGING_ID, multiple=True, metavar="ID", help="Repeatable."
)
@click.option("--job", metavar="ID", help="The image sets of an import job.")
@click.option("--all", "everything", is_flag=True, help="All of the data store.")
@click.option("--datastore", type=HEALTHIMAGING_ID, help="Data store id; default: the only one.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder to keep what is fetched."
)
@click.option(
    "--form",
    type=click.Choice(["jph", "raw", "dicom"]),
    default="jph",
    show_default=True,
    help="With --out: frames as HealthImaging has them, decoded samples, or instances as Part 10 files.",
)
@click.option("--processes", type=click.IntRange(0, 64), help="Default: one per core; 0: none beside this.")
@click.option("--report", "report_path", type=click.Path(path_type=Path), help="File for the JSON report.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def verify_frames(
    given: Given,
    study: str | None,
    series: str | None,
    image_sets: tuple[str, ...],
    job: str | None,
    everything: bool,
    datastore: str | None,
    out: Path | None,
    form: Any,
    processes: int | None,
    report_path: Path | None,
    as_json: bool,
) -> None:
    """Download all frames, decode them, compare their CRC-32 with the metadata; exit 1 when one is wrong.

    With --out a run that was broken off goes on: what is in the folder and was right is not fetched again.
    """
    from dicomweb_gateway.service.verifying import run_verify
    from dicomweb_gateway.workflow.steps import Meter

    chosen = sum(map(bool, (study or series, image_sets, job, everything)))
    if chosen != 1:
        raise SettingsError(_ONE_OF)
    meter = Meter()
    with resumable(meter.finish):
        found = run_verify(
            given.settings(),
            datastore,
            study_uid=study,
            series_uid=series,
            image_set_ids=image_sets,
            job_id=job,
            folder=out,
            form=form,
            processes=processes,
            listener=meter,
        )
    meter.finish()
    if report_path is not None:
        report_path.write_bytes(orjson.dumps(found.row(), option=orjson.OPT_INDENT_2))
    if as_json:
        report(True, found.row())
    else:
        for line in found.lines():
            click.echo(line)
    sys.exit(0 if found.is_fine else 1)
