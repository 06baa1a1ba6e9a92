"""SearchImageSets as far as the caller may see: HealthImaging's pages, cut to what the index shows (7.2).

A caller from whom something in the data store is hidden gets pages that are as full as they would be without
it: HealthImaging is asked on until a page is full and one more row is known, or nothing is left. What takes
too long is answered as HealthImaging answers when it throttles, whereupon SDKs ask again by themselves; what
was found until then is kept, and the next try goes on there. A page that is less full would tell of what is
hidden.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from dicomweb_gateway import patience
from dicomweb_gateway.errors import (
    InvalidRequest,
    ResourceNotFound,
    UpstreamError,
    UpstreamFailed,
    UpstreamInvalid,
)
from dicomweb_gateway.imagesets.aws_errors import of_answer
from dicomweb_gateway.wado.archive import Archive
from dicomweb_gateway.wado.image_sets import PRIMARY, asking
from dicomweb_gateway.wado.kept_searches import PageStart, SearchSoFar

MOST_RESULTS = 50
"""Rows of a page at most, and where the caller says nothing (healthimaging.md 1.3)."""

_LAST_CALL = 10.0
"""Seconds that a call of HealthImaging may take which was begun at the last moment."""
_PAGES = 40
"""Pages that are looked through for one answer to whom nothing is hidden."""
_Ask = Callable[[str | None], dict[str, Any]]
_Show = Callable[[list[Any]], list[tuple[int, dict[str, Any]]]]
_UNSERVED = "this data store is not served"
_SUMMARIES = "imageSetsMetadataSummaries"
_FOLLOWING = "nextToken"
_COUNTS = ("DICOMNumberOfStudyRelatedSeries", "DICOMNumberOfStudyRelatedInstances")


class FoundPage(NamedTuple):
    """Rows of a page, what HealthImaging says of their order, where the next page begins (None: nowhere)."""

    rows: list[dict[str, Any]]
    sort: Any
    following: PageStart | None


def found_image_sets(
    archive: Archive, datastore_id: str, criteria: bytes, start: PageStart, most: int | None, about: str
) -> FoundPage:
    """A page of SearchImageSets; ResourceNotFound for a data store that is not served, and UpstreamError.

    To whom a data store is not shown as a whole one without anything for them and one that does not exist
    are the same: an empty list. To them pages are full, or UpstreamThrottled says to ask again. That an image
    set is not primary would tell them that another one is there: they are not told, and may not ask for it
    (InvalidRequest).
    `criteria` is a JSON object; `most` rows, None for HealthImaging's own number. `about` tells the caller's
    search from all others.
    """
    sight = archive.index.sight
    if sight.within(frozenset((datastore_id,))).is_nothing:
        raise ResourceNotFound(_UNSERVED)
    is_whole = sight.shows_all_of(datastore_id)
    if not is_whole and _asks_for_primary(criteria):
        raise InvalidRequest(f"{PRIMARY} is for who may see the whole data store")
    if not archive.index.has_store(datastore_id):
        if is_whole:
            raise ResourceNotFound(_UNSERVED)
        # that there is such a data store, and all in it is hidden, is not told either
        return FoundPage([], None, None)
    until = patience.until(archive.searches.seconds + _LAST_CALL)
    # pages of one size, whatever the caller asks: rows are counted in them
    asked = most if is_whole else MOST_RESULTS
    size = {} if asked is None else {"maxResults": str(asked)}

    def ask(token: str | None) -> dict[str, Any]:
        query = size if token is None else {**size, _FOLLOWING: token}
        return _page(asking(archive).search(datastore_id, criteria, query, until))

    def show(rows: list[Any]) -> list[tuple[int, dict[str, Any]]]:
        return _shown(archive, datastore_id, rows)

    if is_whole:
        return _first_that_shows(ask, show, start, until - _LAST_CALL)
    page = orjson.dumps((about, tuple(start), most)).decode()
    found = _full_page(archive, page, start, most or MOST_RESULTS, _Search(ask, show, until - _LAST_CALL))
    return found if found.rows else found._replace(sort=None)


def _first_that_shows(ask: _Ask, show: _Show, start: PageStart, until: float) -> FoundPage:
    """The first page of HealthImaging's that shows something, or where to go on looking for it."""
    sort = None
    for _ in range(_PAGES):
        page = ask(start.token)
        sort = page.get("sort")
        rows = [row for _, row in show(page[_SUMMARIES])]
        token = _token_in(page)
        if rows or token is None:
            return FoundPage(rows, sort, None if token is None else PageStart(token))
        start = PageStart(token)
        if time.monotonic() > until:
            break
    return FoundPage([], sort, start)


class _Search(NamedTuple):
    """How HealthImaging is asked for a page, what of its rows is shown, and until when (time.monotonic)."""

    ask: _Ask
    show: _Show
    until: float


def _full_page(archive: Archive, page: str, start: PageStart, most: int, search: _Search) -> FoundPage:
    """A page of `most` rows, or the last one; `page` tells it from all others.

    Whatever ends the search before, the next one for the same page goes on where this one was.
    """
    kept = archive.searches.get(page)
    # what was seen then is judged by what the index says now
    so_far = SearchSoFar([], None, start) if kept is None else kept._replace(rows=_rows(search, kept.rows))
    begun_at = so_far.pages
    try:
        for _ in range(archive.searches.pages):
            following = _looked_through(search, so_far, most)
            if isinstance(following, FoundPage):
                if kept is not None:
                    archive.searches.drop(page)
                return following
            so_far = following
            # after one page at least, or a short time would never lead anywhere
            if time.monotonic() > search.until:
                break
        raise of_answer("SearchImageSets", 429, "ThrottlingException")
    except UpstreamInvalid:
        if kept is None:
            raise
        # a token of HealthImaging's that no longer holds
        archive.searches.drop(page)
        raise of_answer("SearchImageSets", 429, "ThrottlingException") from None
    except UpstreamError:
        if so_far.pages > begun_at:
            archive.searches.put(page, so_far)
        raise


def _rows(search: _Search, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for _, row in search.show(rows)]


def _looked_through(search: _Search, so_far: SearchSoFar, most: int) -> FoundPage | SearchSoFar:
    """What is found with one page more of HealthImaging's."""
    start = so_far.start
    page = search.ask(start.token)
    sort = page.get("sort")
    rows = list(so_far.rows)
    for number, row in search.show(page[_SUMMARIES]):
        if number < start.skipped:
            continue
        if len(rows) == most:
            return FoundPage(rows, sort, PageStart(start.token, number))
        rows.append(row)
    token = _token_in(page)
    if token is None:
        return FoundPage(rows, sort, None)
    if token == start.token:
        raise UpstreamFailed("HealthImaging sent a search answer that leads to itself")
    return SearchSoFar(rows, sort, PageStart(token), so_far.pages + 1)


def _token_in(page: dict[str, Any]) -> str | None:
    token = page.get(_FOLLOWING)
    return token if isinstance(token, str) and token else None


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
    if archive.index.sight.shows_all_of(datastore_id):
        return found
    judged = archive.index.judged_versions(datastore_id, [row["imageSetId"] for _, row in found])
    return [(number, _cut(row, judged.get(row["imageSetId"]))) for number, row in found]


def _asks_for_primary(criteria: bytes) -> bool:
    filters = orjson.loads(criteria).get("filters") or ()
    return any(PRIMARY in value for one in filters for value in one["values"] if isinstance(value, dict))


def _cut(row: dict[str, Any], judged: str | None) -> dict[str, Any]:
    """`row` without what depends on others that are hidden: numbers of a study, whether it is primary.

    Without any tags where it tells of another version than the `judged` one, which may be of another patient.
    """
    row = {name: value for name, value in row.items() if name != PRIMARY}
    tags = row.get("DICOMTags")
    if judged is None or str(row.get("version")) != judged:
        return {name: value for name, value in row.items() if name != "DICOMTags"}
    if not isinstance(tags, dict):
        return row
    return {**row, "DICOMTags": {name: value for name, value in tags.items() if name not in _COUNTS}}
