"""What systemd is told, on real datagram sockets."""

import os

import pytest

from dicomweb_gateway.service.notify import Notifier

from .notified import Manager


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_states_reach_the_manager(kind, tmp_path):
    address = str(tmp_path / "notify") if kind == "path" else f"@gateway-notify-test-{os.getpid()}"
    with Manager(address) as manager:
        environment = {
            "NOTIFY_SOCKET": address,
            "WATCHDOG_USEC": "30000000",
            "WATCHDOG_PID": str(os.getpid()),
        }
        notifier = Notifier.of_environment(environment)
        assert environment == {}
        assert notifier.watchdog_seconds == 30
        notifier.ready("serving\nSTOPPING=1")
        notifier.reloading()
        notifier.alive()
        notifier.stopping()
        manager.until("STOPPING=1")
        first, second, third, last, _ = manager.text.split("\n\n")
    assert first == "READY=1\nSTATUS=serving STOPPING=1"
    assert second.startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert third == "WATCHDOG=1"
    assert last.startswith("STOPPING=1\n")


def test_without_a_manager_nothing_happens(tmp_path):
    for environment in ({}, {"NOTIFY_SOCKET": "vsock:2:1234"}, {"NOTIFY_SOCKET": str(tmp_path / "gone")}):
        notifier = Notifier.of_environment(environment)
        notifier.ready("x")
        assert notifier.watchdog_seconds is None


def test_a_watchdog_for_another_process_is_not_ours():
    environment = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}
    assert Notifier.of_environment(environment).watchdog_seconds is None
