"""A search as frozen values: what the parser makes and the compiler reads; neither knows the other."""

from dataclasses import dataclass
from datetime import date, time
from typing import TypeAlias

from dicomweb_gateway.qido.attributes import Level, QueryAttribute


@dataclass(frozen=True, slots=True)
class TextPattern:
    """One text value; with `wildcard`, `*` stands for any run and `?` for one character (Q-13)."""

    text: str
    wildcard: bool


@dataclass(frozen=True, slots=True)
class UidIn:
    """Equal to one of `values`."""

    attribute: QueryAttribute
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TextIn:
    """Like one of `patterns`, case-sensitively (Q-11, Q-16)."""

    attribute: QueryAttribute
    patterns: tuple[TextPattern, ...]


@dataclass(frozen=True, slots=True)
class ModalitiesIn:
    """Some series of the study has a modality like one of `patterns` (Q-17)."""

    patterns: tuple[TextPattern, ...]


@dataclass(frozen=True, slots=True)
class NamePattern:
    """A folded pattern for one component group; `group` 1 to 3, None for any of them (Q-12)."""

    pattern: TextPattern
    group: int | None


@dataclass(frozen=True, slots=True)
class NameIn:
    """One alternative fits, and it fits when all its group patterns do."""

    attribute: QueryAttribute
    alternatives: tuple[tuple[NamePattern, ...], ...]


@dataclass(frozen=True, slots=True)
class DateRange:
    """Days from `start` to `end`, both included; None is open."""

    start: date | None
    end: date | None


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Times of day from `start` to `end`, both included; None is open."""

    start: time | None
    end: time | None


@dataclass(frozen=True, slots=True)
class RangeIn:
    """Within one of `ranges`; a missing value never is (Q-18, Q-19)."""

    attribute: QueryAttribute
    ranges: tuple[DateRange | TimeRange, ...]


@dataclass(frozen=True, slots=True)
class NumberIn:
    """Equal to one of `values` (Q-22); none of them when empty."""

    attribute: QueryAttribute
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RequestItem:
    """One item of RequestAttributesSequence meets all `conditions` together (Q-23)."""

    conditions: tuple[TextIn, ...]


Condition: TypeAlias = UidIn | TextIn | ModalitiesIn | NameIn | RangeIn | NumberIn | RequestItem


@dataclass(frozen=True, slots=True)
class OrderKey:
    """One key of `orderby` (Q-38)."""

    attribute: QueryAttribute
    descending: bool


@dataclass(frozen=True, slots=True)
class QidoQuery:
    """One search.

    `study_uid`, `series_uid`: the scope of the route. `include`: tags to answer besides the required ones,
    matching keys among them; `include_all` for `includefield=all`. `limit`: what the client asked for, None
    when nothing; `max_results`: the server's own cap (Q-34). `order` empty means Q-37. `warnings`: texts for
    the Warning header, without code and agent.
    """

    level: Level
    study_uid: str | None = None
    series_uid: str | None = None
    conditions: tuple[Condition, ...] = ()
    include: tuple[int, ...] = ()
    include_all: bool = False
    limit: int | None = None
    offset: int = 0
    max_results: int = 5000
    order: tuple[OrderKey, ...] = ()
    total_count: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def page(self) -> int:
        """Most rows that are answered."""
        return self.max_results if self.limit is None else min(self.limit, self.max_results)
