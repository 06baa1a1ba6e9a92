"""SearchImageSets: criteria to SQL and rows to summaries (healthimaging.md 1.3, 4.6)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from dicomweb_gateway.emulator.errors import InvalidRequest
from dicomweb_gateway.emulator.ingest.publish import study_moment
from dicomweb_gateway.emulator.pages import read_token, write_token
from dicomweb_gateway.emulator.storage import Storage

_TEXT_COLUMNS = {
    "DICOMPatientId": "patient_id",
    "DICOMAccessionNumber": "accession_number",
    "DICOMStudyId": "study_id",
    "DICOMStudyInstanceUID": "study_uid",
    "DICOMSeriesInstanceUID": "series_uid",
}
_SORT_COLUMNS = {"updatedAt": "updated", "createdAt": "created", "DICOMStudyDateAndTime": "study_moment"}
_DATE = re.compile(r"[0-9]{8}")
_TIME = re.compile(r"[0-9]{2,6}(?:\.[0-9]{1,6})?")
_MAX_FILTERS = 2


@dataclass(frozen=True, slots=True)
class Search:
    """A parsed search: SQL conditions with their values, and the order."""

    conditions: tuple[str, ...]
    values: tuple[Any, ...]
    sort_field: str = "updatedAt"
    descending: bool = True

    @property
    def sort(self) -> dict[str, str]:
        """The order as the reply repeats it."""
        return {"sortField": self.sort_field, "sortOrder": "DESC" if self.descending else "ASC"}


def parse_search(body: Any) -> Search:
    """The `searchCriteria` object; InvalidRequest naming what is wrong."""
    if not isinstance(body, dict):
        raise InvalidRequest("searchCriteria must be an object")
    filters = body.get("filters") or []
    if not isinstance(filters, list) or len(filters) > _MAX_FILTERS:
        raise InvalidRequest(f"filters must be a list of 1 to {_MAX_FILTERS}")
    parsed = [_condition(one) for one in filters]
    sort = body.get("sort") or {}
    field = sort.get("sortField", "updatedAt") if isinstance(sort, dict) else None
    order = sort.get("sortOrder", "DESC") if isinstance(sort, dict) else None
    if not isinstance(field, str) or field not in _SORT_COLUMNS or order not in ("ASC", "DESC"):
        raise InvalidRequest(
            f"sort must have a sortField of {', '.join(_SORT_COLUMNS)} and sortOrder ASC or DESC"
        )
    return Search(
        conditions=tuple(sql for sql, _ in parsed),
        values=tuple(value for _, values in parsed for value in values),
        sort_field=str(field),
        descending=order == "DESC",
    )


def search_image_sets(
    storage: Storage, datastore_id: str, search: Search, limit: int, token: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    """(summaries, next token); deleted image sets are not found."""
    column = f"coalesce({_SORT_COLUMNS[search.sort_field]}, '')"
    direction, beyond = ("DESC", "<") if search.descending else ("ASC", ">")
    conditions = ["datastore_id = ?", "state != 'DELETED'", *search.conditions]
    values: list[Any] = [datastore_id, *search.values]
    if token is not None:
        conditions.append(f"({column}, id) {beyond} (?, ?)")
        values += _position(token)
    rows = storage.catalogue.all(
        f"SELECT *, {column} AS position FROM image_set WHERE {' AND '.join(conditions)} "  # noqa: S608
        f"ORDER BY {column} {direction}, id {direction} LIMIT ?",
        (*values, limit + 1),
    )
    page = rows[:limit]
    more = write_token([page[-1]["position"], page[-1]["id"]]) if len(rows) > limit else None
    return [_summary(storage, row) for row in page], more


def _position(token: str) -> list[Any]:
    position = read_token(token)
    if not (isinstance(position, list) and len(position) == 2 and isinstance(position[1], str)):
        raise InvalidRequest("nextToken is not one of ours")
    return position


def _condition(one: Any) -> tuple[str, list[Any]]:
    """SQL with ? marks, and their values, of one filter."""
    operator = one.get("operator") if isinstance(one, dict) else None
    values = one.get("values") if isinstance(one, dict) else None
    count = {"EQUAL": (1,), "BETWEEN": (2,)}.get(str(operator))
    if count is None or not isinstance(values, list) or len(values) not in count:
        raise InvalidRequest("a filter must be EQUAL with one value or BETWEEN with two")
    if not all(isinstance(value, dict) and len(value) == 1 for value in values):
        raise InvalidRequest("every value of a filter must have exactly one member")
    names = {name for value in values for name in value}
    if len(names) != 1:
        raise InvalidRequest("both values of BETWEEN must be of one kind")
    name = names.pop()
    given = [value[name] for value in values]
    if operator == "EQUAL":
        return _equal(name, given[0])
    return _between(name, given[0], given[1])


def _equal(name: str, value: Any) -> tuple[str, list[Any]]:
    if name in _TEXT_COLUMNS:
        if not isinstance(value, str):
            raise InvalidRequest(f"{name} must be text")
        return f"{_TEXT_COLUMNS[name]} = ?", [value]
    if name == "isPrimary":
        if not isinstance(value, bool):
            raise InvalidRequest("isPrimary must be true or false")
        return "is_primary = ?", [int(value)]
    return _between(name, value, value)


def _between(name: str, lower: Any, upper: Any) -> tuple[str, list[Any]]:
    if name in ("createdAt", "updatedAt"):
        column = _SORT_COLUMNS[name]
        if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in (lower, upper)):
            raise InvalidRequest(f"{name} must be epoch seconds")
        # Times leave as milliseconds: a client that sends one back must find what it names.
        return f"round({column}, 3) BETWEEN ? AND ?", [round(lower, 3), round(upper, 3)]
    if name == "DICOMStudyDateAndTime":
        return "study_moment BETWEEN ? AND ?", [_moment(lower, "0"), _moment(upper, "9")]
    raise InvalidRequest(f"{name} cannot be searched this way")


def _moment(value: Any, filler: str) -> str:
    """A study moment; what is left open is the earliest ("0") or the latest ("9") possible."""
    date = value.get("DICOMStudyDate") if isinstance(value, Mapping) else None
    clock = value.get("DICOMStudyTime") or "" if isinstance(value, Mapping) else ""
    if not isinstance(date, str) or not _DATE.fullmatch(date):
        raise InvalidRequest("DICOMStudyDate must be YYYYMMDD")
    if not isinstance(clock, str) or (clock and not _TIME.fullmatch(clock)):
        raise InvalidRequest("DICOMStudyTime must be HHMMSS.ffffff")
    if filler == "0":
        return str(study_moment(date, clock))
    whole, _, fraction = clock.partition(".")
    return f"{date}{whole:9<6}.{fraction:9<6}"


def _summary(storage: Storage, row: Any) -> dict[str, Any]:
    related = storage.catalogue.one(
        "SELECT count(DISTINCT series_uid) AS series, coalesce(sum(instances), 0) AS instances "
        "FROM image_set WHERE datastore_id = ? AND study_uid = ? AND is_primary = 1 AND state != 'DELETED'",
        (row["datastore_id"], row["study_uid"]),
    )
    tags = orjson.loads(row["tags"])
    tags["DICOMNumberOfStudyRelatedSeries"] = related["series"] if related else None
    tags["DICOMNumberOfStudyRelatedInstances"] = related["instances"] if related else None
    return {
        "imageSetId": row["id"],
        "version": row["version"],
        "createdAt": round(row["created"], 3),
        "updatedAt": round(row["updated"], 3),
        "lastAccessedAt": round(row["updated"], 3),
        "storageTier": "FREQUENT_ACCESS",
        "isPrimary": bool(row["is_primary"]),
        "DICOMTags": tags,
    }
