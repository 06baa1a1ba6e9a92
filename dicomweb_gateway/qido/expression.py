"""A search as frozen values: what the parser makes and the compiler reads; neither knows the other."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, tzinfo
from decimal import Decimal
from typing import TypeAlias

from dicomweb_gateway.qido.attributes import Level, QueryAttribute
from dicomweb_gateway.qido.included import Path


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
class NameWord:
    """Fits a word that `pattern`, `*` at the end, fits, and one of the code `sound`, "" for none of these."""

    pattern: TextPattern
    sound: str = ""


@dataclass(frozen=True, slots=True)
class NameWords:
    """One alternative fits, and it fits when each of its members fits some word of the name (Q-27)."""

    attribute: QueryAttribute
    alternatives: tuple[tuple[NameWord, ...], ...]


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
class MomentRange:
    """UTC moments (naive) from `start` to `end`, both included; None is open."""

    start: datetime | None
    end: datetime | None


@dataclass(frozen=True, slots=True)
class RangeIn:
    """Within one of `ranges`; a missing value never is (Q-18 to Q-20)."""

    attribute: QueryAttribute
    ranges: tuple[DateRange | TimeRange | MomentRange, ...]


@dataclass(frozen=True, slots=True)
class NumberIn:
    """Equal to one of `values` (Q-22); none of them when empty."""

    attribute: QueryAttribute
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DecimalIn:
    """Equal to one of `values`, `1.5` being `1.50` and `15e-1` (Q-22)."""

    attribute: QueryAttribute
    values: tuple[Decimal, ...]


@dataclass(frozen=True, slots=True)
class IsEmpty:
    """No value, or an empty one (Q-25)."""

    attribute: QueryAttribute


@dataclass(frozen=True, slots=True)
class EmptyOr:
    """No value, or one that meets `condition`: an empty value in a list of values (Q-5, Q-25)."""

    empty: IsEmpty
    condition: "ValueCondition"


@dataclass(frozen=True, slots=True)
class RequestItem:
    """One item of RequestAttributesSequence meets all `conditions` together (Q-23).

    Where all of them ask for no value, a series without any item fits too.
    """

    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class ItemIn:
    """One item of the sequence at `path` meets all `conditions` together (Q-23).

    `path`: a sequence of `level`, then those below its items. The conditions are on the item alone; an
    ItemIn among them starts there. Where all of them ask for no value, a sequence without any item fits
    too. `matching.meets` alone judges it.
    """

    path: tuple[int, ...]
    level: Level
    conditions: tuple["Condition", ...]


ValueCondition: TypeAlias = (
    UidIn | TextIn | ModalitiesIn | NameIn | NameWords | RangeIn | NumberIn | DecimalIn
)
Condition: TypeAlias = ValueCondition | IsEmpty | EmptyOr | RequestItem | ItemIn


@dataclass(frozen=True, slots=True)
class OrderKey:
    """One key of `orderby` (Q-38)."""

    attribute: QueryAttribute
    descending: bool


@dataclass(frozen=True, slots=True)
class QidoQuery:
    """One search.

    `study_uid`, `series_uid`: the scope of the route. `conditions`: what columns can judge; `stored`: what
    `matching.meets` must judge besides, over the DICOM JSON of the levels (Q-3). `include`: paths of tags to
    answer besides the required ones, matching keys among them; `include_all` for `includefield=all`. `limit`:
    what the client asked for, None when nothing; `max_results`: the server's own cap (Q-34).
    `hard_max_results`: matches above which a search without a limit is refused, None for no such number
    (Q-39). `order` empty means Q-37.
    `zone`: the time zone of moments in data that name no offset (Q-20). `warnings`: texts for the Warning
    header, without code and agent.
    """

    level: Level
    study_uid: str | None = None
    series_uid: str | None = None
    conditions: tuple[Condition, ...] = ()
    stored: tuple[Condition, ...] = ()
    include: tuple[Path, ...] = ()
    include_all: bool = False
    limit: int | None = None
    offset: int = 0
    max_results: int = 5000
    hard_max_results: int | None = None
    order: tuple[OrderKey, ...] = ()
    total_count: bool = False
    zone: tzinfo = UTC
    warnings: tuple[str, ...] = ()

    @property
    def shows_study(self) -> bool:
        """Whether answers carry the study's required attributes (Q-47)."""
        return self.level == "study" or self.study_uid is None

    @property
    def shows_series(self) -> bool:
        """Whether answers carry the series' required attributes (Q-47)."""
        return self.level == "series" or (self.level == "instance" and self.series_uid is None)

    @property
    def page(self) -> int:
        """Most rows that are answered."""
        return self.max_results if self.limit is None else min(self.limit, self.max_results)
