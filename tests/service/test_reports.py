"""When the watchdog hears that the service is well, and what the status line says."""

import os
import time

from dicomweb_gateway.service.board import Board
from dicomweb_gateway.service.child import Child
from dicomweb_gateway.service.notify import Notifier
from dicomweb_gateway.service.reports import Reports

from .notified import Manager


def test_the_watchdog_hears_only_while_each_kind_has_one_that_is_ready():
    board = Board()
    names = ("web process 0", "web process 1", "frame fetcher 0")
    children = [
        Child(name, lambda: None, order=name.startswith("frame"), renewed=True, row=board.claim(name), pid=1)
        for name in names
    ]
    for child in children:
        child.row.alive()
    with Manager(f"@gateway-reports-test-{os.getpid()}") as manager:
        notifier = Notifier(manager.address, 0.002)
        reports = Reports(notifier, serving="serving here")

        def heard():
            manager.clear()
            reports._told_at = 0.0
            reports.look(children)
            # told after it, and heard after it
            notifier.status("end")
            manager.until("STATUS=end")
            return manager.text.removesuffix("STATUS=end\n\n")

        assert heard() == ""
        reports.started()
        manager.until("READY=1")
        assert heard() == "WATCHDOG=1\n\n"
        children[0].pid = 0
        assert heard() == "WATCHDOG=1\n\nSTATUS=serving here; being replaced: web process 0\n\n"
        children[1].row.starts()
        assert "WATCHDOG=1" not in heard()
        children[1].row.alive()
        children[0].pid = 1
        assert heard() == "WATCHDOG=1\n\nSTATUS=serving here\n\n"
        children[2].pid = 0
        assert "WATCHDOG=1" not in heard()
        reports.reloaded("PORT: no")
        reports.stopping()
        manager.until("STOPPING=1")
        assert heard() == ""


def test_a_child_that_says_nothing_for_long_hangs():
    child = Child("a", lambda: None, row=Board().claim("a"), pid=1)
    assert not child.hangs(0.0)
    child.row.alive()
    assert not child.hangs(60)
    while time.monotonic() <= child.row.beat:
        pass
    assert child.hangs(0.0)
