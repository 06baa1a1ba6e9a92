"""What a request that edits an image set may say (healthimaging.md 4.4)."""

from collections.abc import Mapping
from typing import Any

import orjson
from flask import Request

from dicomweb_gateway.dicom.dictionary import attribute_of_keyword, is_private
from dicomweb_gateway.dicom.normalization import level_of
from dicomweb_gateway.dicom.uids import is_valid_uid
from dicomweb_gateway.dicom.value_check import WRITABLE, value_flaw
from dicomweb_gateway.errors import InvalidRequest, PayloadTooLarge, UnsupportedMediaType
from dicomweb_gateway.imagesets.editing import Attributes, Edit
from dicomweb_gateway.web.service_ids import check_version

_MEMBERS = frozenset(("latestVersion", "patient", "study", "series", "includeStudyImageSets"))
_MOST_BYTES = 10_240
"""Of all that is to be changed; HealthImaging takes no more (1.6)."""
_FORCED_ONLY = frozenset(("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "StudyID"))
"""HealthImaging changes them only by force, which makes another study or instance of what is there."""


def parse_edit(request: Request) -> Edit:
    """The edit in the body; InvalidRequest names what is wrong, UnsupportedMediaType, PayloadTooLarge."""
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("the body must be application/json")
    body = _object(_json(request), "the body")
    unknown = sorted(set(body) - _MEMBERS)
    if unknown:
        raise InvalidRequest(f"{unknown[0][:64]!r} is none of the members {', '.join(sorted(_MEMBERS))}")
    series = _object(body.get("series", {}), "series")
    for uid in series:
        if not is_valid_uid(uid):
            raise InvalidRequest("series must be named by their UIDs")
    edit = Edit(
        latest_version=_version(body.get("latestVersion")),
        patient=_attributes(body.get("patient", {}), "patient"),
        study=_attributes(body.get("study", {}), "study"),
        series={uid: found for uid, one in series.items() if (found := _attributes(one, "series"))},
        whole_study=_flag(body.get("includeStudyImageSets", False)),
    )
    _check(edit)
    return edit


def _check(edit: Edit) -> None:
    if not edit.keywords:
        raise InvalidRequest("nothing is to be changed: patient, study and series name no attribute")
    if edit.whole_study and not edit.is_study_only:
        raise InvalidRequest("includeStudyImageSets is for attributes of the study alone")
    if sum(map(len, edit.blobs().values())) > _MOST_BYTES:
        raise PayloadTooLarge(f"HealthImaging takes changes of {_MOST_BYTES} bytes in one request")


def _json(request: Request) -> Any:
    try:
        return orjson.loads(request.get_data(cache=False))
    except orjson.JSONDecodeError:
        raise InvalidRequest("the body is not valid JSON") from None


def _object(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidRequest(f"{name} must be a JSON object")
    return value


def _version(value: Any) -> str:
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not text:
        raise InvalidRequest("latestVersion must name the version that is to be changed")
    check_version(text)
    return text


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidRequest("includeStudyImageSets must be true or false")
    return value


def _attributes(value: Any, level: str) -> Attributes:
    found = _object(value, level)
    for keyword, wanted in found.items():
        _check_attribute(keyword, wanted, level)
    return found


def _check_attribute(keyword: str, value: Any, level: str) -> None:
    attribute = attribute_of_keyword(keyword)
    if attribute is None or is_private(attribute.tag):
        raise InvalidRequest(f"{keyword[:64]!r} is the keyword of no attribute of DICOM")
    if keyword in _FORCED_ONLY or attribute.vr == "UI":
        raise InvalidRequest(f"{keyword} says what this is, and is not changed")
    if level_of(attribute.tag) != level:
        raise InvalidRequest(f"{keyword} is no attribute of the {level}")
    if attribute.vr not in WRITABLE:
        raise InvalidRequest(
            f"{keyword} ({attribute.vr}) cannot be changed: it has no value that is one text"
        )
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InvalidRequest(f"{keyword} must be one text or number, or null to remove it")
    flaw = value_flaw(attribute.vr, value)
    if flaw is not None:
        raise InvalidRequest(f"{keyword} {flaw}")
