"""How a line of the audit log is written: JSON in ASCII, one object a line.

Of a request's line two parts are made at two times: what was asked before its answer begins, how it went when
it is over. They are put together as texts, since to write them again would cost as much as all else here.
"""

import json
import re
import time
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from dicomweb_gateway.access.audit_events import AuditEvent

_SHORT = 200
"""Bytes of a value that is kept of a line which is too long for its slot."""
_END = b"}\n"
_LEFT = re.compile(rb'"id":"[^"]*",[ -~]*\}\n')
_encode_any = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), default=str).encode


class Went(NamedTuple):
    """How an answer went: its event, outcome, status, whether it is whole, bytes, milliseconds."""

    event: AuditEvent
    outcome: int
    status: int
    is_whole: bool
    sent: int
    ms: float


def line_of(entry: dict[str, Any]) -> bytes:
    """`entry` as a line; the fast way where that gives ASCII already."""
    try:
        line = orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:
        # lone surrogates, numbers of more than 64 bits, what is no JSON
        line = b"\xff"
    return line if line.isascii() else (_encode_any(entry) + "\n").encode("ascii")


def members_of(entry: dict[str, Any]) -> bytes:
    """The members of `entry`, which has some, without the braces."""
    return line_of(entry)[1:-2]


def whole_line(name: str, went: Went, asked: bytes) -> bytes:
    """The line of the answer `name` that is over; `asked` are members."""
    event, outcome, status, is_whole, sent, ms = went
    head = (
        f'{{"time":"{stamp()}","id":"{name}",{event.members},"outcome":{outcome},"status":{status},'
        f'"complete":{"true" if is_whole else "false"},"bytes":{sent},"ms":{int(ms * 10) / 10},'
    )
    return head.encode() + asked + _END


def left_line(name: str, event: AuditEvent, status: int, asked: bytes) -> bytes:
    """The line, without its time, of an answer whose process was killed.

    Whether its client got all of it nobody knows.
    """
    head = (
        f'"id":"{name}",{event.members},"outcome":8,"status":{status},'
        '"complete":null,"bytes":null,"ms":null,"killed":true,'
    )
    return head.encode() + asked + _END


def with_time(left: bytes, moment: float) -> bytes:
    """What `left_line` made, with its time (Unix time) before all else."""
    return b'{"time":"%b",%b' % (stamp(moment).encode(), left)


def is_left_line(text: bytes) -> bool:
    """Whether `text` may be what `left_line` has made: one line, which holds nothing but signs."""
    return _LEFT.fullmatch(text) is not None


def name_in(left: bytes) -> bytes:
    """The id in what `left_line` made, as it stands in a whole line too."""
    return left[: left.index(b",")]


def shortened(entry: dict[str, Any]) -> dict[str, Any]:
    """`entry` without long values."""
    return {
        name: value if len(line_of({"": value})) <= _SHORT else "[left out]" for name, value in entry.items()
    }


def stamp(moment: float | None = None) -> str:
    """A moment (Unix time), without one this, in UTC, to the millisecond."""
    now = time.time() if moment is None else moment
    return f"{_second(int(now))}.{int(now % 1 * 1000):03d}Z"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
