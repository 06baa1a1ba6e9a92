"""What a request that edits an image set may say (healthimaging.md 4.4)."""

from typing import Any

from flask import Request

from dicomweb_gateway.dicom.dictionary import attribute_of_keyword, is_private
from dicomweb_gateway.dicom.normalization import level_of
from dicomweb_gateway.dicom.uids import is_valid_uid
from dicomweb_gateway.dicom.value_check import WRITABLE, value_flaw
from dicomweb_gateway.errors import InvalidRequest, PayloadTooLarge
from dicomweb_gateway.imagesets.editing import Attributes, Edit
from dicomweb_gateway.web.json_body import checked_object, json_object
from dicomweb_gateway.web.service_ids import check_version

_MEMBERS = frozenset(
    ("latestVersion", "patient", "study", "series", "includeStudyImageSets", "force", "revertToVersion")
)
_CHANGING = ("patient", "study", "series", "includeStudyImageSets", "force")
_MOST_BYTES = 10_240
"""Of all that is to be changed; HealthImaging takes no more (1.6)."""
_FORCED_ONLY = frozenset(("StudyID",))
"""HealthImaging changes it only by force, and UIDs too, which would make another study or instance of what is
there: those are not changed here."""


def parse_edit(request: Request) -> Edit:
    """The edit in the body; InvalidRequest names what is wrong, UnsupportedMediaType, PayloadTooLarge."""
    body = json_object(request, _MEMBERS)
    if "revertToVersion" in body:
        return _revert(body)
    series = checked_object(body.get("series", {}), "series")
    for uid in series:
        if not is_valid_uid(uid):
            raise InvalidRequest("series must be named by their UIDs")
    edit = Edit(
        latest_version=_version(body.get("latestVersion")),
        patient=_attributes(body.get("patient", {}), "patient"),
        study=_attributes(body.get("study", {}), "study"),
        series={uid: found for uid, one in series.items() if (found := _attributes(one, "series"))},
        whole_study=_flag(body, "includeStudyImageSets"),
        force=_flag(body, "force"),
    )
    _check(edit)
    return edit


def _revert(body: Any) -> Edit:
    """The edit that makes an earlier version the latest again."""
    if any(name in body for name in _CHANGING):
        raise InvalidRequest("revertToVersion stands alone with latestVersion")
    edit = Edit(
        _version(body.get("latestVersion")), revert_to=_version(body["revertToVersion"], "revertToVersion")
    )
    if int(edit.revert_to) >= int(edit.latest_version):
        raise InvalidRequest("revertToVersion must be earlier than latestVersion")
    return edit


def _check(edit: Edit) -> None:
    forced = sorted(edit.keywords & _FORCED_ONLY)
    if forced and not edit.force:
        raise InvalidRequest(f"{forced[0]} says what this is: HealthImaging changes it with force alone")
    if edit.force and not forced:
        raise InvalidRequest(f"force is for {', '.join(sorted(_FORCED_ONLY))} alone")
    if not edit.keywords:
        raise InvalidRequest("nothing is to be changed: patient, study and series name no attribute")
    if edit.whole_study and not edit.is_study_only:
        raise InvalidRequest("includeStudyImageSets is for attributes of the study alone")
    if sum(map(len, edit.blobs().values())) > _MOST_BYTES:
        raise PayloadTooLarge(f"HealthImaging takes changes of {_MOST_BYTES} bytes in one request")


def _version(value: Any, name: str = "latestVersion") -> str:
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not text:
        raise InvalidRequest(f"{name} must name a version of the image set")
    check_version(text)
    return text


def _flag(body: Any, name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise InvalidRequest(f"{name} must be true or false")
    return value


def _attributes(value: Any, level: str) -> Attributes:
    found = checked_object(value, level)
    for keyword, wanted in found.items():
        _check_attribute(keyword, wanted, level)
    return found


def _check_attribute(keyword: str, value: Any, level: str) -> None:
    attribute = attribute_of_keyword(keyword)
    if attribute is None or is_private(attribute.tag):
        raise InvalidRequest(f"{keyword[:64]!r} is the keyword of no attribute of DICOM")
    if attribute.vr == "UI":
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
