"""Log lines for people and machines."""

import json
import logging
import sys
from pathlib import Path

import pytest

from dicomweb_gateway.errors import SettingsError
from dicomweb_gateway.service.logs import ACCESS, JsonFormatter, set_up_access_log, set_up_logging
from dicomweb_gateway.web import observed


@pytest.fixture(autouse=True)
def put_back():
    root, package = logging.getLogger(), logging.getLogger("dicomweb_gateway")
    before = root.handlers[:], root.level, package.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    package.setLevel(before[2])
    set_up_access_log(None)


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


def lines_in(path):
    return [json.loads(line)["message"] for line in path.read_text().splitlines()]


def test_the_access_log_is_a_file_that_may_be_renamed(tmp_path, capsys):
    path = tmp_path / "access.log"
    set_up_access_log(path)
    set_up_logging("warning", "text")
    access = logging.getLogger(ACCESS)
    assert observed._LOG is access
    access.info("one")
    path.rename(tmp_path / "access.log.1")
    access.info("two")
    observed._SLOW.warning("slow")
    assert (lines_in(tmp_path / "access.log.1"), lines_in(path)) == (["one"], ["two"])
    shown = capsys.readouterr().err
    assert "slow" in shown
    assert "one" not in shown
    set_up_access_log(None)
    assert access.handlers == []


def test_no_access_log(capsys):
    set_up_access_log(Path("off"))
    set_up_logging("info", "text")
    assert not logging.getLogger(ACCESS).isEnabledFor(logging.INFO)
    logging.getLogger("dicomweb_gateway.room").info("hello")
    assert "hello" in capsys.readouterr().err


def test_an_access_log_that_cannot_be_written_is_one_sentence(tmp_path):
    with pytest.raises(SettingsError, match=r"^ACCESS_LOG: .* cannot be written \("):
        set_up_access_log(tmp_path)


def test_a_line_that_the_access_log_does_not_take_is_lost_and_said_once(tmp_path, capsys):
    path = tmp_path / "folder" / "access.log"
    path.parent.mkdir()
    set_up_access_log(path)
    set_up_logging("info", "text")
    path.unlink()
    path.parent.rmdir()
    for _ in range(3):
        logging.getLogger(ACCESS).info("one")
    shown = capsys.readouterr().err
    assert shown.count("the access log cannot be written") == 1
    assert "Traceback" not in shown
