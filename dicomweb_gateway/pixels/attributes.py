"""Values out of data sets that may hold anything: what cannot be read counts as absent, nothing raises."""

from collections.abc import Iterator
from math import isfinite
from typing import Any

from pydicom import Dataset

from dicomweb_gateway.dicom.dictionary import attribute_of_keyword


def tags_of(*keywords: str) -> frozenset[int]:
    """The tags of these keywords; ValueError for a word that is no keyword."""
    rows = [attribute_of_keyword(keyword) for keyword in keywords]
    known = frozenset(row.tag for row in rows if row is not None)
    if len(known) < len(set(keywords)):
        raise ValueError(f"not all of {keywords} are keywords")
    return known


def value_of(dataset: Dataset, key: str | tuple[int, int]) -> Any:
    """Value of the element with this keyword or (group, element); None when absent or inconvertible."""
    try:
        found = dataset.get(key)
        return getattr(found, "value", found) if isinstance(key, tuple) else found
    except Exception:
        return None


def items_of(dataset: Dataset, keyword: str) -> Iterator[Dataset]:
    """The items of a sequence; none when it is absent or no sequence."""
    value = value_of(dataset, keyword)
    if not isinstance(value, str | bytes) and hasattr(value, "__iter__"):
        yield from (item for item in value if isinstance(item, Dataset))


def first_item(dataset: Dataset | None, keyword: str) -> Dataset | None:
    """The first item of a sequence, None when there is none."""
    return None if dataset is None else next(items_of(dataset, keyword), None)


def group_of_frame(dataset: Dataset, frame_index: int, keyword: str) -> Dataset | None:
    """First item of functional group `keyword` of frame `frame_index` (0-based), else of the shared groups.

    PS3.3 C.7.6.16.
    """
    frames = value_of(dataset, "PerFrameFunctionalGroupsSequence")
    try:
        own = frames[frame_index]
    except (IndexError, KeyError, TypeError):
        own = None
    for groups in (own, first_item(dataset, "SharedFunctionalGroupsSequence")):
        item = first_item(groups, keyword) if isinstance(groups, Dataset) else None
        if item is not None:
            return item
    return None


def numbers_of(dataset: Dataset, keyword: str) -> list[float | None]:
    """The element's values as finite floats, None where one is no number."""
    value = value_of(dataset, keyword)
    if isinstance(value, str):
        value = value.split("\\")
    elif not hasattr(value, "__iter__"):
        value = [value]
    return [_finite(item) for item in value]


def number_of(dataset: Dataset, keyword: str) -> float | None:
    """The element's first value as a finite float, None when it is none."""
    return next(iter(numbers_of(dataset, keyword)), None)


def text_of(dataset: Dataset, keyword: str) -> str:
    """The element's first value as stripped upper-case text, "" when absent."""
    value = value_of(dataset, keyword)
    if value is not None and not isinstance(value, str) and hasattr(value, "__iter__"):
        value = next(iter(value), "")
    return str(value or "").strip().upper()


def _finite(item: Any) -> float | None:
    try:
        number = float(item)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if isfinite(number) else None
