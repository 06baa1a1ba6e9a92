"""What the command groups share: the settings as the command line gives them, and output for scripts."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import orjson

from dicomweb_gateway.errors import SettingsError
from dicomweb_gateway.settings import Settings, load_settings

SAMPLE_NAMES = ("ct-small", "ct", "ct-large", "mr", "colour-cine", "pydicom")
"""Of `workflow.samples`, whose libraries no other command should wait for."""

_OF_ANOTHER: dict[str, Any] = {
    "database_url": None,
    "db_secret_arn": None,
    "ahi_datastore_ids": (),
    "ahi_dicomweb_endpoint": None,
    "store_datastore_id": None,
    "import_bucket": None,
    "import_output_bucket": None,
    "import_role_arn": None,
    "import_kms_key_arn": None,
}
"""Settings that belong to the HealthImaging that is configured and its index, with what they are without."""


class _Id(click.types.StringParamType):
    """The id of a data store or image set (healthimaging.md 1.1): what is none is not asked for ten times."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """`value`, or what is wrong with it."""
        if re.fullmatch("[0-9a-z]{32}", value) is None:
            self.fail(f"{value!r} is no id of HealthImaging: 32 digits and lower-case letters", param, ctx)
        return str(value)


class _NamedPath(click.Path):
    """A path that is not empty: an unset variable of a script is not to mean all that lies around it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The Path, or what is wrong with it."""
        if not str(value):
            self.fail("it is empty", param, ctx)
        return super().convert(value, param, ctx)


HEALTHIMAGING_ID = _Id()
NAMED_PATH = _NamedPath(path_type=Path)


class Given:
    """What the command line says about settings, before a command adds its own."""

    def __init__(self, config: Path | None, pairs: tuple[str, ...]) -> None:
        self.config = config
        self.overrides: dict[str, Any] = {}
        for pair in pairs:
            name, separator, value = pair.partition("=")
            if not separator or name.lower() not in Settings.model_fields:
                raise SettingsError(f"--set {pair}: write NAME=VALUE with a setting's name")
            self.overrides[name.lower()] = value

    def settings(self, **more: Any) -> Settings:
        """The effective settings; None in `more` means not given."""
        named = {name: value for name, value in more.items() if value is not None}
        return load_settings({**self.overrides, **named}, self.config)

    def alone(self, **more: Any) -> Settings:
        """The same for a command with a HealthImaging of its own: what is set for another is not for it.

        Instances must not go elsewhere than to where the command's own data lie.
        """
        others = {name: value for name, value in _OF_ANOTHER.items() if more.get(name) is None}
        return self.settings(**more).model_copy(update=others)


@contextmanager
def resumable(finish: Callable[[], None]) -> Iterator[None]:
    """What is done inside may be interrupted, which is said, after `finish`, and is exit status 1."""
    try:
        yield
    except (KeyboardInterrupt, click.Abort):
        finish()
        click.echo("interrupted; the same command goes on from here", err=True)
        sys.exit(1)


def report(as_json: bool, row: dict[str, Any]) -> None:
    """One result: a JSON object on a line of its own, or its names and values for people."""
    if as_json:
        click.echo(orjson.dumps(row).decode())
    else:
        click.echo("  ".join(f"{name} {value}" for name, value in row.items()))
