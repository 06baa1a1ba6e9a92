"""The benchmarks' arithmetic and command line, and that a tiny run works from end to end."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.benchmarks.command import BY_HAND, SCENARIOS, main, parser
from tests.benchmarks.constant import Constant
from tests.benchmarks.content import frame_index, make_frames, make_series
from tests.benchmarks.measuring import Budget, Line, Pair, percentiles, quantile, results_of
from tests.benchmarks.processes import Family, cpu_of, memory_of
from tests.benchmarks.report import as_markdown, as_table

LINE = Line("one", "what", "beside", "ms", Budget(2))


@pytest.mark.parametrize(
    ("budget", "value", "met"),
    [
        (Budget(2), 2.0, True),
        (Budget(2), 2.1, False),
        (Budget(0.8, at_most=False), 0.8, True),
        (Budget(0.8, at_most=False), 0.79, False),
    ],
)
def test_budget(budget, value, met):
    assert budget.met(value) is met


def test_a_ratio_is_the_median_of_each_rounds_ratio():
    pairs = [Pair("one", 1.0, 3.0), Pair("one", 10.0, 10.0), Pair("one", 4.0, 6.0), Pair("other", 1.0, 9.0)]
    (result,) = results_of([LINE, Line("none", "", "", "")], pairs)
    assert (result.yardstick, result.own, result.ratio, result.met) == (4.0, 6.0, 1.5, True)
    assert result.ratios == [1.0, 1.5, 3.0]


def test_a_budget_of_the_value_itself_needs_no_yardstick():
    line = Line("memory", "peak", "-", "MB", Budget(400, of_ratio=False))
    (result,) = results_of([line], [Pair("memory", None, 401.0)])
    assert (result.ratio, result.met) == (None, False)


def test_tables_say_what_is_missed():
    results = results_of([LINE], [Pair("one", 1.0, 3.0)])
    assert as_markdown(results).splitlines()[-1] == "| what | beside | 1 ms | 3 ms | 3.00 | <= 2x | NO |"
    assert " ".join(as_table(results).splitlines()[-1].split()) == "what beside 1 ms 3 ms 3.00 <= 2x NO"


@pytest.mark.parametrize(("share", "expected"), [(0.5, 5), (0.95, 10), (0.9, 9), (0.0, 1), (1.0, 10)])
def test_quantile(share, expected):
    assert quantile(range(10, 0, -1), share) == expected


def test_percentiles_are_in_milliseconds():
    assert percentiles([0.001, 0.002, 0.003]) == {"p50_ms": 2.0, "p95_ms": 3.0, "p99_ms": 3.0}


def test_cpu_and_memory_of_another_process_and_its_children():
    work = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'sum(range(10 ** 7))'])\ninput()"
    with subprocess.Popen([sys.executable, "-c", work], stdin=subprocess.PIPE) as process:
        # the child's CPU counts once it has been waited for
        until = time.monotonic() + 30
        while cpu_of(process.pid) < 0.1 and time.monotonic() < until:
            time.sleep(0.05)
        assert cpu_of(process.pid) >= 0.1
        assert memory_of(process.pid) > 1000
        assert "web" in dict(Family(os.getpid(), {process.pid: "web"}).members()).values()
        process.communicate(b"\n")
    assert cpu_of(process.pid) == 0


def test_series_are_new_each_time_and_name_frames_of_the_pool():
    pool = make_frames(2, 64)
    one, other = make_series(pool, 2, 3), make_series(pool, 2, 3)
    assert [frame_index(i) for ids in one.frame_ids for i in ids] == [0, 1, 0, 1, 0, 1]
    assert not {i for ids in one.frame_ids for i in ids} & {i for ids in other.frame_ids for i in ids}
    assert pool[0].payload != pool[1].payload


def test_help_lists_every_scenario_and_benchmark():
    text = parser().format_help()
    assert [name for name in (*(one.name for one in SCENARIOS), *BY_HAND, "curves") if name not in text] == []
    assert len({line.name for one in SCENARIOS for line in one.lines}) == sum(
        len(one.lines) for one in SCENARIOS
    )


def test_an_unknown_scenario_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["of-no-such-name"])
    assert "there is no scenario of-no-such-name" in capsys.readouterr().err


def test_a_quick_run_fetches_cold_and_warm_and_writes_json(tmp_path: Path, capsys):
    file = tmp_path / "out.json"
    main(["open-series", "--quick", "--json", str(file), "--work", str(tmp_path), "--markdown"])
    found = json.loads(file.read_bytes())
    by_line = {result["line"]: result for result in found["results"]}
    cold = by_line["open-cold-6"]
    assert cold["yardstick"] == 5 * 0.030 / 64
    assert 1 <= cold["rounds"][0]["calls_per_frame"] < 2
    assert cold["rounds"][0]["cpu_s_by_process"]["web"] > 0
    assert cold["rounds"][0]["cpu_s_by_process"]["fetchers"] > 0
    assert found["machine"]["cores"] == os.cpu_count()
    assert "| open of 300 slices, cold, 6 connections |" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [file]


def test_the_constant_answer_is_served():
    server = Constant(100)
    try:
        address = f"http://127.0.0.1:{server.port}/datastore/a/imageSet/b/getImageFrame"
        with urlopen(address, timeout=20) as answer:
            assert len(answer.read()) == 100
    finally:
        server.stop()
