"""Where time goes: spans within spans, by thread."""

import threading
import time

import pytest

from dicomweb_gateway.telemetry.timeline import Timeline, following, request_id, span, spent


def test_inner_spans_are_not_counted_twice() -> None:
    line = Timeline("one")
    with following(line), span("outer"):
        with span("inner"):
            time.sleep(0.05)
        spent("told", 0.01)
        with span("inner"):
            pass
    assert line.parts["inner"] >= 0.05
    assert line.parts["told"] == 0.01
    assert line.parts["outer"] < 0.04
    assert list(line.parts) == ["inner", "told", "outer"]


def test_what_fails_took_its_time_too() -> None:
    line = Timeline()
    with pytest.raises(KeyError), following(line), span("index"):
        raise KeyError
    assert "index" in line.parts


def test_requests_are_those_of_their_threads() -> None:
    seen = []
    with following(Timeline("mine")):
        thread = threading.Thread(target=lambda: seen.append(request_id()))
        thread.start()
        thread.join()
        assert request_id() == "mine"
        with following(None):
            assert request_id() is None
        assert request_id() == "mine"
    assert seen == [None]
    assert request_id() is None
