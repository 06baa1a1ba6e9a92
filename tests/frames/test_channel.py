import threading
import time
from contextlib import suppress

import pytest

from dicomweb_gateway.errors import FetchersUnavailable
from dicomweb_gateway.frames.channel import Channel
from dicomweb_gateway.frames.protocol import Answer, MessageReader, encode_answer, parse_answer, parse_request
from dicomweb_gateway.frames.sockets import listen
from tests.frames.conftest import raw_wanted


@pytest.fixture
def address(tmp_path) -> str:
    return str(tmp_path / "run" / "f0")


@pytest.fixture
def channel(address):
    made = Channel(address)
    yield made
    made.close()


def receive(connection, count: int) -> list:
    reader, found = MessageReader(), []
    while len(found) < count and (data := connection.recv(65536)):
        found += [parse_request(header) for header, _ in reader.feed(data)]
    return found


def test_the_same_frame_is_asked_for_once_and_taken_back_by_the_last(address, channel):
    with listen(address) as listening:
        soon = time.monotonic() + 30
        first, second = (channel.ask(raw_wanted(1), deadline=soon) for _ in range(2))
        other = channel.ask(raw_wanted(1), inline=True, deadline=soon)
        assert first is second is not other
        connection, _ = listening.accept()
        with connection:
            requests = receive(connection, 2)
            assert [request.inline for request in requests] == [False, True]
            channel.release(first)
            channel.release(second)
            (cancel,) = receive(connection, 1)
            assert (cancel.op, cancel.id) == ("cancel", requests[0].id)
            assert channel.ask(raw_wanted(1)) is not first


def test_answers_find_their_askers_in_any_order(address, channel):
    with listen(address) as listening:
        asked = [channel.ask(raw_wanted(n)) for n in range(3)]
        connection, _ = listening.accept()
        with connection:
            for request in reversed(receive(connection, 3)):
                connection.sendall(b"".join(encode_answer(Answer(request.id, length=request.id * 10))))
            connection.sendall(b"".join(encode_answer(Answer(999, length=1))))
            assert [pending.future.result(5).length for pending in asked] == [10, 20, 30]


@pytest.mark.parametrize("farewell", [b"", b"nonsense"])
def test_what_is_pending_is_sent_again_but_not_for_ever(address, channel, farewell):
    """A frame that kills every fetcher which takes it must not kill fetchers for ever."""
    deaths = []

    def dying_fetcher() -> None:
        while not pending.future.done():
            connection, _ = listening.accept()
            with connection:
                deaths.append(receive(connection, 1))
                with suppress(BrokenPipeError):
                    connection.sendall(farewell)

    with listen(address) as listening:
        pending = channel.ask(raw_wanted(1))
        listening.settimeout(5)
        thread = threading.Thread(target=dying_fetcher)
        thread.start()
        with pytest.raises(FetchersUnavailable, match="keeps failing"):
            pending.future.result(20)
        channel.close()
        thread.join(10)
    assert not thread.is_alive()
    assert [request.frames for requests in deaths for request in requests] == [(raw_wanted(1),)] * 5


def test_an_answer_for_which_there_is_no_memory_ends_its_connection_only(address, channel, monkeypatch):
    parse, answers = parse_answer, []

    def parse_second(*message):
        answers.append(message)
        if len(answers) == 1:
            raise MemoryError
        return parse(*message)

    monkeypatch.setattr("dicomweb_gateway.frames.channel.parse_answer", parse_second)
    with listen(address) as listening:
        listening.settimeout(5)
        pending = channel.ask(raw_wanted(1))
        for _ in range(2):
            with listening.accept()[0] as connection:
                (request,) = receive(connection, 1)
                connection.sendall(b"".join(encode_answer(Answer(request.id, length=7))))
        assert pending.future.result(5).length == 7


def test_prefetch_waits_for_the_first_connection(address, channel):
    channel.tell((raw_wanted(1), raw_wanted(2)))
    with listen(address) as listening:
        connection, _ = listening.accept()
        with connection:
            (request,) = receive(connection, 1)
    assert (request.op, request.frames) == ("prefetch", (raw_wanted(1), raw_wanted(2)))


def test_closing_fails_what_is_pending_and_what_comes_later(channel):
    pending = channel.ask(raw_wanted(1))
    channel.close()
    with pytest.raises(FetchersUnavailable):
        pending.future.result(0)
    with pytest.raises(FetchersUnavailable):
        channel.ask(raw_wanted(2))
