"""SearchImageSets as far as the caller may see: HealthImaging's pages, cut to what the index shows (7.2).

A caller from whom something in the data store is hidden gets pages that are as full as they would be without
it: HealthImaging is asked on until a page is full and one more row is known, or nothing is left.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from dicomweb_gateway import patience
from dicomweb_gateway.errors import ResourceNotFound, UpstreamFailed
from dicomweb_gateway.wado.archive import Archive
from dicomweb_gateway.wado.image_sets import asking

MOST_RESULTS = 50
"""Rows of a page at most, and where the caller says nothing (healthimaging.md 1.3)."""

_SECONDS = 30.0
_LAST_ASKING = 10.0
"""So long before the end of the time nothing more is asked."""
_PAGES = 40
"""Pages that are looked through for one answer."""
_UNSERVED = "this data store is not served"
_SUMMARIES = "imageSetsMetadataSummaries"
_FOLLOWING = "nextToken"
_COUNTS = ("DICOMNumberOfStudyRelatedSeries", "DICOMNumberOfStudyRelatedInstances")


class PageStart(NamedTuple):
    """Where a page begins: HealthImaging's token of a page of its own, None for the first, and rows in it
    that went before."""

    token: str | None = None
    skipped: int = 0


class FoundPage(NamedTuple):
    """Rows of a page, what HealthImaging says of their order, where the next page begins (None: nowhere)."""

    rows: list[dict[str, Any]]
    sort: Any
    following: PageStart | None


def found_image_sets(
    archive: Archive, datastore_id: str, criteria: bytes, start: PageStart, most: int | None
) -> FoundPage:
    """A page of SearchImageSets; ResourceNotFound for a data store that is not served, and UpstreamError.

    To whom a data store is not shown as a whole one without anything for them and one that does not exist
    are the same: an empty list.
    `criteria` is a JSON object; `most` rows, None for HealthImaging's own number. An answer takes 40 pages of
    HealthImaging's and 20 seconds at most; one that ends there is less full, and another page follows.
    """
    sight = archive.index.sight
    if sight.within(frozenset((datastore_id,))).is_nothing:
        raise ResourceNotFound(_UNSERVED)
    is_whole = sight.shows_all_of(datastore_id)
    if not archive.index.has_store(datastore_id):
        if is_whole:
            raise ResourceNotFound(_UNSERVED)
        # that there is such a data store, and all in it is hidden, is not told either
        return FoundPage([], None, None)
    until = patience.until(_SECONDS)
    # pages of one size, whatever the caller asks: rows are counted in them
    asked = most if is_whole else MOST_RESULTS
    size = {} if asked is None else {"maxResults": str(asked)}

    def ask(token: str | None) -> dict[str, Any]:
        query = size if token is None else {**size, _FOLLOWING: token}
        return _page(asking(archive).search(datastore_id, criteria, query, until))

    def show(rows: list[Any]) -> list[tuple[int, dict[str, Any]]]:
        return _shown(archive, datastore_id, rows)

    found = _gathered(ask, show, start, None if is_whole else most or MOST_RESULTS, until)
    return found if is_whole or found.rows else found._replace(sort=None)


def _gathered(
    ask: Callable[[str | None], dict[str, Any]],
    show: Callable[[list[Any]], list[tuple[int, dict[str, Any]]]],
    start: PageStart,
    most: int | None,
    until: float,
) -> FoundPage:
    """A page of `most` rows; None: the first of HealthImaging's that shows something."""
    rows: list[dict[str, Any]] = []
    sort = None
    for _ in range(_PAGES):
        page = ask(start.token)
        sort = page.get("sort")
        for number, row in show(page[_SUMMARIES]):
            if number < start.skipped:
                continue
            if len(rows) == most:
                return FoundPage(rows, sort, PageStart(start.token, number))
            rows.append(row)
        token = page.get(_FOLLOWING)
        if not isinstance(token, str) or not token:
            return FoundPage(rows, sort, None)
        start = PageStart(token)
        if (rows and most is None) or time.monotonic() > until - _LAST_ASKING:
            break
    return FoundPage(rows, sort, start)


def _page(body: bytes) -> dict[str, Any]:
    try:
        page = orjson.loads(body)
    except orjson.JSONDecodeError:
        page = None
    if not isinstance(page, dict) or not isinstance(page.get(_SUMMARIES), list):
        raise UpstreamFailed("HealthImaging sent a search answer that is not of its schema")
    return page


def _shown(archive: Archive, datastore_id: str, summaries: list[Any]) -> list[tuple[int, dict[str, Any]]]:
    """The rows that are shown, with their numbers among `summaries`."""
    rows = [
        (number, row)
        for number, row in enumerate(summaries)
        if isinstance(row, dict) and isinstance(row.get("imageSetId"), str)
    ]
    known = archive.index.image_sets_shown(datastore_id, [row["imageSetId"] for _, row in rows])
    found = [(number, row) for number, row in rows if row["imageSetId"] in known]
    if not archive.index.sight.has_wanted:
        return found
    judged = archive.index.judged_versions(datastore_id, [row["imageSetId"] for _, row in found])
    return [(number, _cut(row, judged.get(row["imageSetId"]))) for number, row in found]


def _cut(row: dict[str, Any], judged: str | None) -> dict[str, Any]:
    """`row` without the numbers of a study, which count also what is hidden.

    Without any tags where it tells of another version than the `judged` one, which may be of another patient.
    """
    tags = row.get("DICOMTags")
    if judged is None or str(row.get("version")) != judged:
        return {name: value for name, value in row.items() if name != "DICOMTags"}
    if not isinstance(tags, dict):
        return row
    return {**row, "DICOMTags": {name: value for name, value in tags.items() if name not in _COUNTS}}
