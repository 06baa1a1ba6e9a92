"""SearchImageSets as far as the caller may see: HealthImaging's pages, cut to what the index shows (7.2)."""

from typing import Any, NamedTuple

import orjson

from dicomweb_gateway import patience
from dicomweb_gateway.errors import ResourceNotFound, UpstreamFailed
from dicomweb_gateway.wado.archive import Archive
from dicomweb_gateway.wado.image_sets import asking

_SECONDS = 30.0
_PAGES = 20
"""Pages that are looked through for one that shows something."""
_SUMMARIES = "imageSetsMetadataSummaries"
_COUNTS = ("DICOMNumberOfStudyRelatedSeries", "DICOMNumberOfStudyRelatedInstances")


class FoundPage(NamedTuple):
    """A page as JSON, and the number of its rows."""

    body: bytes
    rows: int


def found_image_sets(
    archive: Archive, datastore_id: str, criteria: bytes, query: dict[str, str]
) -> FoundPage:
    """A page of SearchImageSets; ResourceNotFound for a data store that is not served, and UpstreamError.

    `criteria` is a JSON object, `query` has maxResults and nextToken where they are given. What is hidden is
    left out, and pages that show nothing are passed over, as their number would tell what there is.
    """
    if archive.index.sight.is_nothing or not archive.index.has_store(datastore_id):
        raise ResourceNotFound("this data store is not served")
    until = patience.until(_SECONDS)
    for _ in range(_PAGES):
        page = _page(asking(archive).search(datastore_id, criteria, query, until))
        shown = _shown(archive, datastore_id, page[_SUMMARIES])
        token = page.get("nextToken")
        if shown or not isinstance(token, str) or not token:
            break
        query = {**query, "nextToken": token}
    return FoundPage(orjson.dumps({**page, _SUMMARIES: shown}), len(shown))


def _page(body: bytes) -> dict[str, Any]:
    try:
        page = orjson.loads(body)
    except orjson.JSONDecodeError:
        page = None
    if not isinstance(page, dict) or not isinstance(page.get(_SUMMARIES), list):
        raise UpstreamFailed("HealthImaging sent a search answer that is not of its schema")
    return page


def _shown(archive: Archive, datastore_id: str, summaries: list[Any]) -> list[dict[str, Any]]:
    rows = [row for row in summaries if isinstance(row, dict) and isinstance(row.get("imageSetId"), str)]
    known = archive.index.image_sets_shown(datastore_id, [row["imageSetId"] for row in rows])
    found = [row for row in rows if row["imageSetId"] in known]
    if not archive.index.sight.has_wanted:
        return found
    judged = archive.index.judged_versions(datastore_id, [row["imageSetId"] for row in found])
    return [_cut(row, judged.get(row["imageSetId"])) for row in found]


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
