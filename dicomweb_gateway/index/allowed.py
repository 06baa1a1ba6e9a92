"""The lock on data stores: what lies in another than the allowed ones is as if the index did not know it."""

from sqlalchemy import ColumnElement, true

AllowedStores = frozenset[str] | None
"""Ids of the data stores that may be served and indexed; None: all."""


def in_allowed(datastore_id: ColumnElement[str], allowed: AllowedStores) -> ColumnElement[bool]:
    """The condition that leaves rows of allowed data stores; nothing in SQL where all are allowed."""
    return true() if allowed is None else datastore_id.in_(sorted(allowed))


def is_allowed(datastore_id: str, allowed: AllowedStores) -> bool:
    """The same of one data store."""
    return allowed is None or datastore_id in allowed
