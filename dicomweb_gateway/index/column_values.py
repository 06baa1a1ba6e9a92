"""Attributes as the values of columns: each in its column's type, None for what does not fit into it."""

from collections.abc import Callable
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Date, Integer, String, Table, Time

from dicomweb_gateway.imagesets.values import Tags, first_value, integer, text
from dicomweb_gateway.index import tables as aws
from dicomweb_gateway.qido.temporal import stored_date, stored_time
from dicomweb_gateway.qido.texts import searchable

Reader = Callable[[Tags, str], Any]

INT32 = 2**31 - 1
"""The largest number of an Integer column."""


def columns(table: Table, keywords: tuple[str, ...], tags: Tags) -> dict[str, Any]:
    """The columns of `table` that hold one of `keywords`, each in the column's type; None when unusable."""
    return {name: read(tags, keyword) for name, keyword, read in _readers(table.name, keywords)}


@cache
def _readers(table_name: str, keywords: tuple[str, ...]) -> list[tuple[str, str, Reader]]:
    table = aws.metadata.tables[table_name]
    return [
        (keyword.lower(), keyword, _reader(table.c[keyword.lower()].type, table_name.startswith("gateway_")))
        for keyword in keywords
        if keyword.lower() in table.c
    ]


def _reader(kind: Any, for_matching: bool) -> Reader:
    if isinstance(kind, String):
        return _clipped(kind.length, searchable if for_matching else str)
    if isinstance(kind, Date):
        return lambda tags, key: stored_date(_first_text(tags, key))
    if isinstance(kind, Time):
        return lambda tags, key: stored_time(_first_text(tags, key))
    if isinstance(kind, BigInteger):
        return _bounded(2**53)
    if isinstance(kind, Integer):
        return _bounded(INT32)
    raise TypeError(f"no reader for columns of type {kind!r}")


def _clipped(length: int | None, form: Callable[[str], str]) -> Reader:
    def read(tags: Tags, key: str) -> str | None:
        return form(text(tags, key) or "")[:length] or None

    return read


def _bounded(limit: int) -> Reader:
    def read(tags: Tags, key: str) -> int | None:
        value = integer(tags, key)
        return value if value is not None and abs(value) <= limit else None

    return read


def _first_text(tags: Tags, key: str) -> str | None:
    value = first_value(tags, key)
    return None if value is None else str(value)
