"""Log lines for people and machines."""

import json
import logging
import sys

import pytest

from dicomweb_gateway.service.logs import JsonFormatter, set_up_logging


@pytest.fixture(autouse=True)
def put_back():
    root, package = logging.getLogger(), logging.getLogger("dicomweb_gateway")
    before = root.handlers[:], root.level, package.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    package.setLevel(before[2])


def record(message, *values, trace=None):
    return logging.LogRecord("dicomweb_gateway.x", logging.INFO, "f.py", 1, message, values, trace)


def test_a_json_line_holds_the_facts():
    line = JsonFormatter().format(record("%d frames für\n%s", 3, "a"))
    assert "\n" not in line
    entry = json.loads(line)
    assert (entry["level"], entry["logger"], entry["message"]) == (
        "info",
        "dicomweb_gateway.x",
        "3 frames für\na",
    )
    assert entry["time"].endswith("Z")
    assert "trace" not in entry


def test_errors_bring_their_trace():
    try:
        raise ValueError("why")
    except ValueError:
        entry = json.loads(JsonFormatter().format(record("failed", trace=sys.exc_info())))
    assert "ValueError: why" in entry["trace"]


@pytest.mark.parametrize(("form", "is_json"), [("json", True), ("text", False), (None, True)])
def test_forms(form, is_json, capsys):
    set_up_logging("info", form)
    logging.getLogger("dicomweb_gateway.room").info("hello")
    line = capsys.readouterr().err.strip()
    assert line.startswith("{") is is_json
    assert "hello" in line


def test_levels_count_for_us_and_others_speak_only_of_trouble(capsys):
    set_up_logging("debug", "text")
    logging.getLogger("dicomweb_gateway.room").debug("ours")
    logging.getLogger("botocore").info("theirs")
    logging.getLogger("botocore").warning("trouble")
    shown = capsys.readouterr().err
    assert "ours" in shown
    assert "theirs" not in shown
    assert "trouble" in shown


def test_half_a_character_is_a_line_too():
    line = JsonFormatter().format(record("%s", "a\udce4b"))
    assert json.loads(line)["message"] == "a\udce4b"
    line.encode()
