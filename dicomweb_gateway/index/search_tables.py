"""Where a search looks: the conditions of the query language over one family of tables.

Two families answer searches. `side_search.py` has our own side tables, `aws_search.py` the tables that the
AWS Lambda fills. The compiler knows neither.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, FromClause, Select

from dicomweb_gateway.dicom.json_model import JsonElement, JsonObject
from dicomweb_gateway.index.patterns import Expression
from dicomweb_gateway.qido.attributes import Level, QueryAttribute
from dicomweb_gateway.qido.expression import (
    Condition,
    ModalitiesIn,
    NameIn,
    NameWords,
    QidoQuery,
    RequestItem,
    TextPattern,
)


@dataclass(frozen=True, slots=True)
class Candidates:
    """What was found out about a condition before the page is asked for.

    `keys`: all values of the driving column that meet it; None when they are too many to list, and then
    it is cheaper to look at the studies in their order and ask of each whether it meets the condition.
    """

    keys: Sequence[Any] | None


@dataclass(frozen=True, slots=True)
class Driver:
    """`query` gives the driving values of a condition, some of them repeatedly, and is to be limited.

    `by_range`: an index leads to them, so that finding few of many costs little; else every value is looked
    at until enough are found.
    """

    query: Select[Any]
    by_range: bool


Plan = Mapping[Condition, Candidates]
"""Conditions of a query that were looked into."""


class SearchTables(ABC):
    """One family of tables; every method that returns an Expression is about the rows of `source(level)`."""

    name: str
    """Tells the families apart."""

    @property
    def has_shapes(self) -> bool:
        """Whether values of a search go into the SQL as they are, and equal tables ask alike (shapes.py)."""
        return False

    def for_counting(self) -> "SearchTables":
        """The same rows, by what is fastest where all of them are looked at and not a page."""
        return self

    @abstractmethod
    def source(self, query: QidoQuery) -> FromClause:
        """The tables that conditions and order of the query need, joined."""

    @abstractmethod
    def answer_source(self, query: QidoQuery) -> FromClause:
        """The tables that `columns` needs, joined."""

    @abstractmethod
    def key(self, level: Level) -> Expression:
        """The surrogate key of a level's rows."""

    @abstractmethod
    def own_rows(self, query: QidoQuery) -> list[Expression]:
        """Which rows can be answers at all: those of the query's scope that this family speaks for."""

    @abstractmethod
    def holds(self, condition: Condition) -> bool:
        """Whether these tables have what the condition is about."""

    @abstractmethod
    def judged(self, query: QidoQuery) -> QidoQuery | None:
        """The query as these tables judge it: conditions by columns, `stored` ones by attributes.

        None when they can judge some of its keys by neither (Q-3).
        """

    @abstractmethod
    def attributes(self, row: Any, level: Level) -> Mapping[str, JsonElement]:
        """The attributes that a row of `columns` holds of a level, for `stored` conditions."""

    @abstractmethod
    def column(self, attribute: QueryAttribute) -> Expression:
        """The attribute as it is compared and sorted by."""

    @abstractmethod
    def texts(self, attribute: QueryAttribute, patterns: tuple[TextPattern, ...]) -> Expression:
        """The attribute is like one of the patterns (Q-11, Q-16)."""

    @abstractmethod
    def names(self, condition: NameIn, found: Candidates | None) -> Expression:
        """A person name has component groups like those of one alternative (Q-12)."""

    @abstractmethod
    def words(self, condition: NameWords, found: Candidates | None) -> Expression:
        """A person name has words like those of one alternative (Q-27)."""

    @abstractmethod
    def modalities(self, condition: ModalitiesIn, found: Candidates | None) -> Expression:
        """Some series of the study has one of the modalities (Q-17)."""

    @abstractmethod
    def request(self, condition: RequestItem) -> Expression:
        """One item of RequestAttributesSequence meets all conditions (Q-23)."""

    def mentions(self, level: Level, text: str) -> Expression:
        """The attributes of the level contain `text`; only of tables that hold them."""
        raise TypeError(f"{self.name} tables hold no attributes of {level} level with {text}")

    @abstractmethod
    def empty(self, attribute: QueryAttribute) -> Expression:
        """The attribute has no value that could be matched (Q-25)."""

    @abstractmethod
    def latest_first(self) -> list[Expression]:
        """What studies are sorted by (Q-37)."""

    @abstractmethod
    def by_number(self, level: Level) -> Expression:
        """What series or instances are sorted by: their number, missing last (Q-37)."""

    @abstractmethod
    def alphabetic(self, attribute: QueryAttribute) -> Expression:
        """What a person name is sorted by: its folded first component group."""

    @abstractmethod
    def uids(self, level: Level) -> list[Expression]:
        """What makes every order total."""

    @abstractmethod
    def driver(self, condition: Condition) -> Driver | None:
        """A query for the driving values of a condition; None where none is worth it."""

    @abstractmethod
    def columns(self, query: QidoQuery) -> list[Any]:
        """What `answers` needs of each row."""

    @abstractmethod
    def answers(self, connection: Connection, query: QidoQuery, rows: Sequence[Any]) -> list[JsonObject]:
        """Rows of `columns` as DICOM JSON, in their order; asks for what belongs to them besides."""
