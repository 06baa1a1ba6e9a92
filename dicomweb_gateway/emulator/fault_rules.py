"""Rules of what goes wrong with which calls, as values: kinds, their parameters, and how they are written."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

_ERROR_STATUSES = (500, 502, 503, 504)
PLACES = ("answer", "headers", "body")
"""Where a connection can end: before the answer, in the middle of its headers, in the middle of its body."""

KINDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "throttle": frozenset({"wait"}),
        "error": frozenset({"status"}),
        "conflict": frozenset(),
        "denied": frozenset(),
        "expired": frozenset(),
        "late": frozenset({"wait"}),
        "hang": frozenset({"wait"}),
        "drop": frozenset({"at"}),
        "truncate": frozenset({"at"}),
        "cut": frozenset(),
        "flip": frozenset({"bits"}),
        "slow": frozenset({"bytes_per_second"}),
    }
)
"""Kind of fault to the parameters that it has beside those that choose calls.

Refused: `throttle` 429 (`wait`: seconds in Retry-After), `error` 500, or 502 to 504 as a load balancer
answers them, `conflict` 409, `denied` 403, `expired` 403 ExpiredTokenException. Late: `late` by `wait`
seconds, `hang` never answers, or hangs up after `wait` seconds. Broken off: `drop` resets the connection,
`truncate` closes it in order, both short of Content-Length. Wrong with status 200: `cut` is half the body
with a Content-Length that fits it, `flip` turns `bits` bits over, `slow` sends `bytes_per_second`.
"""

_DEFAULTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {"late": {"wait": 1.0}, "truncate": {"at": "body"}, "slow": {"bytes_per_second": 10_000.0}}
)


@dataclass(frozen=True, kw_only=True)
class FaultRule:
    """One kind of fault for a share of some calls; ValueError when the values do not fit."""

    kind: str
    """One of KINDS."""
    rate: float = 1.0
    """Share of the calls concerned, above 0 and at most 1."""
    operations: tuple[str, ...] = ()
    """Operations concerned; empty means all."""
    key: str | None = None
    """Only calls that are signed with this access key id; None means all, unsigned ones too."""
    calls: int | None = None
    """The rule ends after so many calls that it struck; None: never."""
    seconds: float | None = None
    """The rule ends so long after it was set; None: never."""
    wait: float | None = None
    """Seconds: of `late`, the delay; of `hang`, until it hangs up; of `throttle`, in Retry-After."""
    status: int = 500
    """Of `error`."""
    at: str = "answer"
    """Of `drop` and `truncate`: one of PLACES."""
    bits: int = 1
    """Of `flip`: how many bits of the body are turned over, at random places."""
    bytes_per_second: float = 0.0
    """Of `slow`."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no such kind of fault: {self.kind} (there are {', '.join(KINDS)})")
        if not 0 < self.rate <= 1:
            raise ValueError("the rate of a rule must lie above 0 and not above 1")
        if self.status not in _ERROR_STATUSES:
            raise ValueError(f"status must be one of {', '.join(map(str, _ERROR_STATUSES))}")
        if self.at not in PLACES:
            raise ValueError(f"at must be one of {', '.join(PLACES)}")
        if self.bits < 1 or (self.kind == "slow" and self.bytes_per_second <= 0):
            raise ValueError("bits and bytes_per_second must be positive")
        for name in ("calls", "seconds", "wait"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"{name} must not be negative")

    def concerns(self, operation: str, key: str | None) -> bool:
        """Whether a call of `operation`, signed with the access key id `key`, can be struck."""
        return (not self.operations or operation in self.operations) and self.key in (None, key)


_CHOOSING = frozenset({"kind", "rate", "operations", "key", "calls", "seconds"})
_WHOLE = frozenset({"calls", "status", "bits"})
_FRACTIONS = frozenset({"rate", "seconds", "wait", "bytes_per_second"})


def rule_of(members: Any) -> FaultRule:
    """The rule that a JSON object describes; ValueError for an unknown member or one of the wrong kind.

    Members that are null are as absent, so that a rule can be sent back as it was read.
    """
    if not isinstance(members, Mapping) or not isinstance(members.get("kind"), str):
        raise ValueError("a rule is an object with a kind")
    kind: str = members["kind"]
    known = {field.name: field.default for field in fields(FaultRule)}
    given = {**_DEFAULTS.get(kind, {}), **{n: v for n, v in members.items() if v is not None}}
    for name, value in given.items():
        allowed = name in _CHOOSING or name in KINDS.get(kind, frozenset())
        if name not in known or not (allowed or value == known[name]):
            raise ValueError(f"{kind} has no parameter {name}")
    return FaultRule(**{name: _typed(name, value) for name, value in given.items()})


def rule_of_text(text: str) -> FaultRule:
    """A rule from the command line: `drop,rate=0.05,operations=GetImageFrame+GetImageSet,at=body`."""
    kind, *pairs = text.split(",")
    members: dict[str, Any] = {"kind": kind}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"{pair!r} in a rule is not of the form name=value")
        members[name] = _read(name, value)
    return rule_of(members)


def _read(name: str, value: str) -> Any:
    try:
        if name in _WHOLE:
            return int(value)
        if name in _FRACTIONS:
            return float(value)
    except ValueError as error:
        raise ValueError(f"{name} must be a number") from error
    return value.split("+") if name == "operations" else value


def _typed(name: str, value: Any) -> Any:
    match value:
        case bool():
            pass
        case int() | float() if name in _FRACTIONS:
            return float(value)
        case int() if name in _WHOLE:
            return value
        case list() | tuple() if name == "operations" and all(isinstance(one, str) for one in value):
            return tuple(value)
        case str() if name in ("kind", "at", "key"):
            return value
    raise ValueError(f"{name} has a value of the wrong kind")
