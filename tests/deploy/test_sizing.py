"""The sizing script: its arithmetic, its limits, and the README's table of it."""

import importlib.util
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from tests.deploy.recipes import DEPLOY, ROOT


def load() -> Any:
    spec = importlib.util.spec_from_file_location("sizing", DEPLOY / "sizing.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["sizing"] = module
    spec.loader.exec_module(module)
    return module


sizing = load()
SITE, MACHINE = sizing.Site(), sizing.Machine()


def test_rates_by_hand() -> None:
    site = replace(SITE, viewers=90, studies_per_hour=10, slices=100, viewed=1.0, cold=0.5, series=2)
    found = sizing.plan(site, MACHINE)
    # 900 studies an hour are one every 4 s
    assert found.frames == pytest.approx(25)
    assert found.cold_frames == pytest.approx(12.5)
    assert found.metadata == pytest.approx(0.5)
    assert found.megabits == pytest.approx(25 * 200 * 8 / 1000)


@pytest.mark.parametrize("field", ["viewers", "studies_per_hour", "slices", "frame_kb", "cold"])
def test_more_needs_no_less(field: str) -> None:
    less = sizing.plan(replace(SITE, viewers=1000), MACHINE)
    thousand = replace(SITE, viewers=1000)
    more = sizing.plan(replace(thousand, **{field: getattr(thousand, field) * 2}), MACHINE)
    assert more.instances >= less.instances
    assert more.cores >= less.cores
    assert more.megabits >= less.megabits


def test_one_instance_may_always_fail() -> None:
    for viewers in (1, 100, 1000, 10_000):
        found = sizing.plan(replace(SITE, viewers=viewers), MACHINE)
        assert found.instances >= 2
        left = (found.instances - 1) * MACHINE.cores * MACHINE.load
        assert left >= found.cores or viewers < 10


def test_quotas_are_told_when_they_are_passed() -> None:
    busy = replace(SITE, viewers=10_000, cold=1.0)
    assert any("GetImageFrame" in limit for limit in sizing.plan(busy, MACHINE).limits)
    share = sizing.longest_cold(busy)
    kept = sizing.plan(replace(busy, cold=share), MACHINE)
    assert kept.cold_frames <= sizing.FRAME_QUOTA * 1.001
    assert kept.cold_metadata <= sizing.METADATA_QUOTA * 1.001
    assert sizing.longest_cold(replace(SITE, viewers=10)) == 1.0


def test_the_readme_has_the_table_as_the_script_prints_it() -> None:
    done = subprocess.run(
        [sys.executable, str(DEPLOY / "sizing.py")], capture_output=True, text=True, check=True
    )
    table = [line for line in done.stdout.splitlines() if line.startswith("|")]
    readme = (ROOT / "README.md").read_text()
    assert len(table) == 8
    assert "\n".join(table) in readme
