"""What a key names, and who can judge its condition: columns, or DICOM JSON (dicomweb.md Q-1, Q-3, Q-23)."""

from collections.abc import Sequence
from dataclasses import dataclass

from dicomweb_gateway.errors import InvalidRequest
from dicomweb_gateway.qido.attributes import (
    ATTRIBUTES,
    MODALITIES_IN_STUDY,
    MODALITY,
    REQUEST_ATTRIBUTES,
    REQUEST_ITEM_ATTRIBUTES,
    SPECIFIC_CHARACTER_SET,
    Level,
    QueryAttribute,
    holds_items,
    item_attribute,
    items_are_held,
    level_held,
    stored_attribute,
    usable_at,
)
from dicomweb_gateway.qido.expression import Condition, ItemIn, RequestItem

MAX_DEPTH = 16
"""Keys of one path; each but the last is a sequence to go down into."""


MAX_STORED = 16
"""Keys of one search that are matched over DICOM JSON: each costs its time for every resource looked at."""


@dataclass(frozen=True, slots=True)
class KeyCondition:
    """The condition that the key at `path` states for its attribute."""

    path: tuple[int, ...]
    attribute: QueryAttribute
    condition: Condition


def attribute_of_path(level: Level, path: tuple[int, ...], name: str) -> QueryAttribute:
    """The attribute of a key in a search of `level`; InvalidRequest when it cannot be matched (Q-3, Q-24).

    `name` is the key as the client wrote it.
    """
    if SPECIFIC_CHARACTER_SET in path:
        raise InvalidRequest(f"{name}: the character set is never a matching key")
    if level == "study" and path == (MODALITY,):
        path = (MODALITIES_IN_STUDY,)
    attribute = _of_item(path) if len(path) > 1 else ATTRIBUTES.get(path[0]) or stored_attribute(path[0])
    if attribute is None:
        raise InvalidRequest(f"{name}: this attribute cannot be searched")
    if not usable_at(attribute, level):
        raise InvalidRequest(f"{name}: this attribute cannot be searched at {level} level")
    return attribute


def sorted_out(made: Sequence[KeyCondition]) -> tuple[tuple[Condition, ...], tuple[Condition, ...]]:
    """The conditions on columns, and those on DICOM JSON.

    Keys of one sequence are judged on one item (Q-23), so all of them go the way that one of them must.
    Raises InvalidRequest for more than MAX_STORED keys without a column.
    """
    without_column = [one for one in made if one.attribute.column is None]
    if len(without_column) > MAX_STORED:
        keyword = without_column[MAX_STORED].attribute.keyword
        raise InvalidRequest(
            f"{keyword}: more than {MAX_STORED} attributes that are not indexed in one search"
        )
    columns = [one.condition for one in made if len(one.path) == 1 and one.attribute.column is not None]
    stored = [one.condition for one in made if len(one.path) == 1 and one.attribute.column is None]
    below: dict[int, list[KeyCondition]] = {}
    for one in made:
        if len(one.path) > 1:
            below.setdefault(one.path[0], []).append(one)
    for sequence, keys in below.items():
        if all(one.attribute.column is not None for one in keys):
            columns.append(RequestItem(tuple(one.condition for one in keys)))
        else:
            stored.append(_item_in(level_held(sequence), sequence, [(o.path[1:], o.condition) for o in keys]))
    return tuple(columns), tuple(stored)


def _of_item(path: tuple[int, ...]) -> QueryAttribute | None:
    """The attribute of a key below a sequence, with the level of the sequence."""
    first, *between, last = path
    if len(path) > MAX_DEPTH or not items_are_held(first) or not all(map(holds_items, between)):
        return None
    indexed = REQUEST_ITEM_ATTRIBUTES.get(last) if path[:-1] == (REQUEST_ATTRIBUTES,) else None
    return indexed or item_attribute(last, level_held(first))


def _item_in(level: Level, sequence: int, members: list[tuple[tuple[int, ...], Condition]]) -> ItemIn:
    """The condition on one item of `sequence`; the members' paths start at that item."""
    conditions = [condition for path, condition in members if len(path) == 1]
    below: dict[int, list[tuple[tuple[int, ...], Condition]]] = {}
    for path, condition in members:
        if len(path) > 1:
            below.setdefault(path[0], []).append((path[1:], condition))
    conditions += [_item_in(level, inner, inside) for inner, inside in below.items()]
    match conditions:
        case [ItemIn(path, _, inside)]:
            return ItemIn((sequence, *path), level, inside)
    return ItemIn((sequence,), level, tuple(conditions))
