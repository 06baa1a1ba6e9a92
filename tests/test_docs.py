"""The README is held against settings, commands, routes and search keys."""

import re
from pathlib import Path

import click
import pytest

from dicomweb_gateway.cli import main
from dicomweb_gateway.emulator.config import EmulatorConfig
from dicomweb_gateway.qido.attributes import ATTRIBUTES
from dicomweb_gateway.settings import Settings

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_every_setting_has_its_row_and_every_row_is_a_setting() -> None:
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \|", README, re.MULTILINE)
    assert sorted({row.lower() for row in rows} ^ set(Settings.model_fields)) == []


def commands(group: click.Group, prefix: str = "") -> list[str]:
    names = []
    for name, command in group.commands.items():
        full = f"{prefix}{name}"
        names += commands(command, f"{full} ") if isinstance(command, click.Group) else [full]
    return names


@pytest.mark.parametrize("name", commands(main))
def test_every_command_is_told_of(name: str) -> None:
    assert re.search(rf"`{re.escape(name)}[ `]", README)


def test_every_search_key_is_told_of() -> None:
    assert [one.keyword for one in ATTRIBUTES.values() if one.keyword not in README] == []


@pytest.mark.parametrize(
    "option",
    [p.opts[0] for p in main.commands["emulator"].params if p.name in EmulatorConfig.__dataclass_fields__],
)
def test_emulator_switches_exist_in_its_config(option: str) -> None:
    assert option.removeprefix("--").replace("-", "_") in EmulatorConfig.__dataclass_fields__
    assert option in README
