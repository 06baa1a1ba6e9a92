"""A request's task in a web process: waitress's, but an answer can stand still and go on later."""

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from waitress.buffers import ReadOnlyFileBasedBuffer
from waitress.channel import ClientDisconnected
from waitress.task import ErrorTask, WSGITask

from dicomweb_gateway.errors import ClientLeft
from dicomweb_gateway.patience import request_scope
from dicomweb_gateway.service.heads import environ_of, remember_environ, response_head
from dicomweb_gateway.telemetry.catalogue import REQUESTS
from dicomweb_gateway.telemetry.meters import count
from dicomweb_gateway.telemetry.timeline import Timeline, following
from dicomweb_gateway.web.endings import AT_END
from dicomweb_gateway.web.identity_keys import REPEATED
from dicomweb_gateway.web.observed import TIMELINE
from dicomweb_gateway.web.streams import REFUSED

TASK = "dicomweb_gateway.task"
"""Key of the WSGI environment: the task itself."""
AHEAD = 1 << 20
"""Bytes that may wait for a reader before what makes more of them stands still."""
_STEP_SECONDS = 0.05
"""How long an answer may keep a thread for which others wait."""


class Paused(BaseException):
    """The answer goes on later; not an error, so nothing on the way must catch it."""


class PausingBody:
    """The pieces of an answer, which break off with `Paused` and go on where they were.

    An answer that is longer than what may wait is made in steps, none of them before `Workers.add_step`.
    """

    def __init__(self, body: Any, channel: Any, long: bool, timeline: Timeline | None = None) -> None:
        self._timeline = timeline
        self._body = body
        self._pieces: Iterator[bytes] = iter(body)
        self._channel = channel
        self._long = long
        self._begun = False
        self._paused = False
        self._ended = False
        self._resumed_at = 0.0

    def __iter__(self) -> Iterator[bytes]:
        self._resumed_at = time.monotonic()
        return self

    def __next__(self) -> bytes:
        self._paused = self._long and self._must_pause()
        self._begun = True
        if self._paused:
            raise Paused
        try:
            with request_scope(has_left=self._channel.has_left), following(self._timeline):
                return next(self._pieces)
        except ClientLeft as error:
            raise ClientDisconnected from error

    def close(self) -> None:
        """End the answer, unless it goes on later."""
        if not self._paused:
            self.end()

    def end(self) -> None:
        """End the answer, if that has not been done."""
        if self._ended:
            return
        self._ended = True
        with suppress(AttributeError):
            self._body.close()

    def _must_pause(self) -> bool:
        if not self._begun or self._channel.is_full:
            return True
        return self._channel.server.task_dispatcher.pressed and (
            time.monotonic() - self._resumed_at > _STEP_SECONDS
        )


class Task(WSGITask):
    """One request; `execute` runs again from its body on after each pause."""

    channel: Any
    request: Any

    def __init__(self, channel: Any, request: Any) -> None:
        super().__init__(channel, request)
        self.body: PausingBody | None = None

    def answer(self, application: Any, environ: dict[str, Any], start_response: Any) -> Any:
        """What `application` answers, made pausing; the body that is under way when there is one."""
        if self.body is not None:
            return self.body
        found = application(environ, start_response)
        if isinstance(found, ReadOnlyFileBasedBuffer):
            return found
        if isinstance(found, list | tuple):
            return found
        long = self.content_length is None or self.content_length > AHEAD
        self.body = PausingBody(found, self.channel, long, environ.get(TIMELINE))
        return self.body

    def get_environment(self) -> dict[str, Any]:
        """The WSGI environment, which also names this task to the server."""
        if self.environ is None:
            self.environ = environ_of(self.request)
        environ: dict[str, Any] = super().get_environment()
        remember_environ(self.request, environ)
        environ[TASK] = self
        environ[AT_END] = self.channel.account.at_end
        if self.request.repeated:
            environ[REPEATED] = self.request.repeated
        if self.channel.refused:
            environ[REFUSED] = self.channel.refused
            self.channel.refused = ""
        return environ

    def build_response_header(self) -> bytes:
        """The head of the answer; waitress's where it must say how the connection goes on."""
        account = self.channel.account
        if self.channel.server.is_draining:
            self.request.headers["CONNECTION"] = "close"
        if self.version == "1.1" and not self._is_last:
            head = response_head(self.status, self.response_headers, self.has_body)
            if head is not None:
                return bytes(account.begin(self.status, head))
        head = super().build_response_header()
        if self.version == "1.0" and self.content_length is None:
            self.channel.ends_open, self.channel.is_made = True, False
        return bytes(account.begin(self.status, head))

    @property
    def _is_last(self) -> bool:
        """Whether the connection ends with this request: the client says so, or the process ends."""
        return bool(self.request.headers.get("CONNECTION", "").lower() == "close")

    def finish(self) -> None:
        """All of the answer is at hand: send what the socket takes at once, headers and body together."""
        if not self.wrote_header:
            self.write(b"")
        if self.request.command == "HEAD":
            # waitress would send the end of a body that does not come
            self.chunked_response = False
        super().finish()
        self.channel.is_made = True
        self.channel.account.is_made = self._is_whole
        self.channel.send_now()

    @property
    def _is_whole(self) -> bool:
        """Whether the application has given as much as the head says."""
        if self.content_length is None or not self.has_body or self.request.command == "HEAD":
            return True
        return bool(self.channel.body_bytes_given == self.content_length)


class RefusalTask(ErrorTask):
    """The answer to a request that cannot be read, or whose application failed before it answered."""

    channel: Any
    request: Any

    def execute(self) -> None:
        """See ErrorTask; in the form of all errors of the gateway."""
        error = self.request.error
        # what follows a quotation mark is the client's own
        message = str(error.body).partition('"')[0].strip() or error.reason
        headers, body = self.channel.server.refusals.answer(error.code, message, self.request.origin)
        count(REQUESTS, ("unread", "", "other", str(error.code)))
        self.status = f"{error.code} {error.reason}"
        self.response_headers = [*self.response_headers, *headers]
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)

    def build_response_header(self) -> bytes:
        """The head, of which the account takes note."""
        return bytes(self.channel.account.begin(self.status, super().build_response_header()))

    def finish(self) -> None:
        """See ErrorTask."""
        super().finish()
        self.channel.account.is_made = True
