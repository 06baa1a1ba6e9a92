"""`dicomweb-gateway workflow`: the guided walk, with answers by hand or by option."""

import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from dicomweb_gateway.cli_common import HEALTHIMAGING_ID, SAMPLE_NAMES, Given, resumable


class _Terminal:
    """Asks on the terminal, or takes every default; `finish` ends a line of progress that may stand there."""

    def __init__(self, takes_defaults: bool, finish: Callable[[], None]) -> None:
        self._takes_defaults = takes_defaults
        self._finish = finish

    def say(self, text: str = "") -> None:
        self._finish()
        click.echo(text)

    def text(self, question: str, default: str) -> str:
        if self._takes_defaults:
            return default
        self._finish()
        return str(click.prompt(question, default=default or None, prompt_suffix=" "))

    def choose(self, question: str, options: Mapping[str, str], default: str) -> str:
        if self._takes_defaults:
            return default
        self._finish()
        keys = list(options)
        for number, key in enumerate(keys, 1):
            click.echo(f"{number} - {options[key]}")
        number = click.prompt(question, type=click.IntRange(1, len(keys)), default=keys.index(default) + 1)
        return keys[number - 1]

    def agree(self, question: str, default: bool) -> bool:
        if self._takes_defaults:
            return default
        self._finish()
        return click.confirm(question, default=default)


@click.command("workflow")
@click.option("--yes", is_flag=True, help="Ask nothing: what no option answers is answered with its default.")
@click.option("--emulator", is_flag=True, help="With a HealthImaging of its own on this machine; no AWS.")
@click.option(
    "--create/--existing", default=None, help="Make bucket, role and data store, or use what is there."
)
@click.option(
    "--stack",
    metavar="NAME",
    help="Make them as this CloudFormation stack; with --existing use that one, which is never deleted.",
)
@click.option("--datastore", type=HEALTHIMAGING_ID, metavar="ID", help="Use this data store.")
@click.option("--datastore-name", metavar="NAME", help="Name of the one that is made.")
@click.option("--samples", type=click.Choice(SAMPLE_NAMES))
@click.option("--dicom", type=click.Path(exists=True, path_type=Path), multiple=True, metavar="PATH")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("output"))
@click.option("--delete/--keep", default=None, help="Clean up at the end, or not.")
@click.option("--processes", type=click.IntRange(0, 64), help="For decoding; default: one per core.")
@click.pass_obj
def workflow(given: Given, /, yes: bool, emulator: bool, **options: Any) -> None:
    """From nothing to verified frames and back: make resources, import, fetch, decode, verify, delete.

    A walk that was broken off goes on when the command is given again.
    """
    from dicomweb_gateway.service.own_emulator import own_emulator
    from dicomweb_gateway.service.walk import Walk
    from dicomweb_gateway.service.walk_guide import Answers
    from dicomweb_gateway.workflow.steps import Meter

    answers = Answers(
        create=options["create"],
        stack=options["stack"],
        datastore_id=options["datastore"],
        datastore_name=options["datastore_name"],
        samples=options["samples"],
        dicom=options["dicom"],
        out=options["out"],
        delete=options["delete"],
        processes=options["processes"],
        own_emulator=emulator,
    )
    meter = Meter()
    with resumable(meter.finish), ExitStack() as stack:
        decided: dict[str, Any] = {}
        if emulator:
            folder = given.settings().data_dir / "walk" / "emulator"
            decided["ahi_endpoint"] = stack.enter_context(own_emulator(folder))

        def make_settings(**more: Any) -> Any:
            return (given.alone if emulator else given.settings)(**decided, **more)

        is_fine = Walk(make_settings, _Terminal(yes, meter.finish), answers, meter).go()
        meter.finish()
    sys.exit(0 if is_fine else 1)
