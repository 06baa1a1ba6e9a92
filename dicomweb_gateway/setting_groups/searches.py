"""The settings of searches."""

from datetime import UTC, tzinfo
from typing import Any, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings

from dicomweb_gateway.qido.temporal import parse_zone


class SearchSettings(BaseSettings):
    """How searches are read and answered."""

    max_results: int = Field(default=5000, ge=1)
    """Rows of one search answer at most (Q-34)."""
    hard_max_results: int | None = Field(default=None, ge=1)
    """Matches above which a search without a limit is refused with 413 (Q-39); unset: never."""
    empty_status: Literal[200, 204] = 200
    """Status of a search without a match: 200 with an empty list, or 204 (Q-41)."""
    strict_query: bool = False
    """Refuse unknown query parameters instead of warning about them (Q-4)."""
    time_zone: str = "UTC"
    """Zone of moments (DT) that name no offset, in queries and in data: an IANA name, or an offset (Q-20)."""
    fuzzy_phonetic: bool = False
    """`fuzzymatching=true` finds names also by words that sound like those asked for (Q-27)."""

    @field_validator("empty_status", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        return int(value) if isinstance(value, str) and value.isdecimal() else value

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, name: str) -> str:
        if parse_zone(name) is None:
            raise ValueError(
                "must be an IANA time zone such as Europe/Berlin, or an offset from UTC such as +0100"
            )
        return name

    @property
    def zone(self) -> tzinfo:
        """The time zone that TIME_ZONE names."""
        return parse_zone(self.time_zone) or UTC
