"""The Store Instances Response: what became of each instance (PS3.18 10.5.3, annex I.2; dicomweb.md S-1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dicomweb_gateway.dicom.json_model import JsonObject, element

RETRIEVE_URL, FAILED, REFERENCED, OTHER = "00081190", "00081198", "00081199", "0008119A"
_SOP_CLASS, _SOP_INSTANCE, _REASON, _WARNING = "00081150", "00081155", "00081197", "00081196"
_ATTRIBUTES, _COMMENT = "00741048", "00000902"
_LONGEST_COMMENT = 64
"""Characters of LO."""

PROCESSING_FAILURE = 0x0110
NOT_AUTHORIZED = 0x0124
OUT_OF_RESOURCES = 0xA700
MISMATCH = 0xA900
"""The data set does not match what it says, or the address."""
CLASH = 0xA901
"""A UID is that of something else already: of another patient, study or series. One of A9xx."""
NOT_UNDERSTOOD = 0xC000
UNKNOWN_SYNTAX = 0xC122
"""The transfer syntax is not supported."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one instance; UIDs are empty where the part names none.

    `failure` None: stored. `reason` is for people; `warning` a code of those that were stored all the same.
    """

    class_uid: str = ""
    instance_uid: str = ""
    failure: int | None = None
    reason: str = ""
    warning: int | None = None
    study_uid: str = ""
    series_uid: str = ""


def status_of(outcomes: Sequence[Outcome]) -> int:
    """200 when all are stored, 202 when some are not or there are warnings, 409 when none is (S-1)."""
    if all(one.failure is None for one in outcomes):
        return 202 if any(one.warning is not None for one in outcomes) else 200
    return 409 if all(one.failure is not None for one in outcomes) else 202


def store_response(outcomes: Sequence[Outcome], base_url: str) -> JsonObject:
    """The response; addresses are below `base_url`."""
    stored = [one for one in outcomes if one.failure is None]
    failed = [one for one in outcomes if one.failure is not None and one.instance_uid]
    others = [one for one in outcomes if one.failure is not None and not one.instance_uid]
    studies = {one.study_uid for one in stored}
    response: JsonObject = {}
    if len(studies) == 1:
        response[RETRIEVE_URL] = element("UR", [f"{base_url}/studies/{studies.pop()}"])
    if failed:
        response[FAILED] = element("SQ", [{**_named(one), **_failure(one)} for one in failed])
    if stored:
        response[REFERENCED] = element("SQ", [_stored(one, base_url) for one in stored])
    if others:
        response[OTHER] = element("SQ", [_failure(one) for one in others])
    return response


def read_response(document: Any) -> list[Outcome]:
    """The outcomes in a response, or in a list of one; ValueError when it is none."""
    body = document[0] if isinstance(document, list) and len(document) == 1 else document
    if not isinstance(body, dict):
        raise ValueError("no Store Instances Response")
    stored = [_read(item) for item in _items(body, REFERENCED)]
    failed = [_read(item, PROCESSING_FAILURE) for item in (*_items(body, FAILED), *_items(body, OTHER))]
    return [*stored, *failed]


def _named(outcome: Outcome) -> JsonObject:
    return {
        _SOP_CLASS: element("UI", [outcome.class_uid]),
        _SOP_INSTANCE: element("UI", [outcome.instance_uid]),
    }


def _stored(outcome: Outcome, base_url: str) -> JsonObject:
    path = f"studies/{outcome.study_uid}/series/{outcome.series_uid}/instances/{outcome.instance_uid}"
    item = {**_named(outcome), RETRIEVE_URL: element("UR", [f"{base_url}/{path}"])}
    if outcome.warning is not None:
        item[_WARNING] = element("US", [outcome.warning])
    return dict(sorted(item.items()))


def _failure(outcome: Outcome) -> JsonObject:
    item: JsonObject = {_REASON: element("US", [outcome.failure])}
    if outcome.reason:
        comment = element("LO", [outcome.reason[:_LONGEST_COMMENT]])
        item[_ATTRIBUTES] = element("SQ", [{_COMMENT: comment}])
    return item


def _items(body: dict[str, Any], key: str) -> list[dict[str, Any]]:
    values = _values(body, key) or []
    if not isinstance(values, list) or not all(isinstance(item, dict) for item in values):
        raise ValueError("no Store Instances Response")
    return values


def _read(item: dict[str, Any], failure: int | None = None) -> Outcome:
    told, warning = _first(item, _REASON), _first(item, _WARNING)
    comments = _items(item, _ATTRIBUTES)
    return Outcome(
        class_uid=str(_first(item, _SOP_CLASS) or ""),
        instance_uid=str(_first(item, _SOP_INSTANCE) or ""),
        failure=told if failure is not None and isinstance(told, int) else failure,
        reason=str(_first(comments[0], _COMMENT) or "") if comments else "",
        warning=warning if isinstance(warning, int) else None,
    )


def _first(item: dict[str, Any], key: str) -> Any:
    values = _values(item, key) or [None]
    return values[0] if isinstance(values, list) else None


def _values(item: dict[str, Any], key: str) -> Any:
    found = item.get(key) or {}
    if not isinstance(found, dict):
        raise ValueError("no Store Instances Response")
    return found.get("Value")
