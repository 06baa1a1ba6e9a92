"""No more calls than a rate allows."""

from dicomweb_gateway.workflow.pace import Pace


def test_calls_are_spread(monkeypatch):
    pauses = []
    monkeypatch.setattr("dicomweb_gateway.workflow.pace.time.monotonic", lambda: 100.0)
    monkeypatch.setattr("dicomweb_gateway.workflow.pace.time.sleep", pauses.append)
    pace = Pace(10)
    for _ in range(4):
        pace.wait()
    assert [round(pause, 6) for pause in pauses] == [0, 0.1, 0.2, 0.3]


def test_without_a_rate_nobody_waits(monkeypatch):
    pauses = []
    monkeypatch.setattr("dicomweb_gateway.workflow.pace.time.sleep", pauses.append)
    Pace(None).wait()
    assert pauses == []
