"""HealthImaging's events as values (healthimaging.md 4.2)."""

import re
from dataclasses import dataclass
from typing import Any

import orjson

_ARN = re.compile(r":datastore/([0-9a-z]{32})/imageset/([0-9a-z]{32})$")
_ID = re.compile(r"[0-9a-z]{32}")
_PREFIX = "Image Set "


@dataclass(frozen=True, slots=True)
class ImageSetEvent:
    """Something happened to an image set; `version` None when the event does not say which it is at.

    `deleted`: the image set is gone. `settled` False: a change has only begun or failed, nothing is new yet.
    """

    datastore_id: str
    image_set_id: str
    version: int | None
    deleted: bool
    settled: bool


def parse_event(body: str | bytes) -> ImageSetEvent | None:
    """The event in the body of a queue's message, None for one that is not about an image set.

    Takes what EventBridge sends and the same wrapped by SNS; both spellings of the image set's id, and ids
    that only the ARN in `resources` gives. Raises ValueError for a body that is no event at all.
    """
    event = _object(orjson.loads(body))
    if "detail-type" not in event and isinstance(event.get("Message"), str):
        event = _object(orjson.loads(event["Message"]))
    kind = event.get("detail-type")
    if not isinstance(kind, str):
        raise ValueError("the message has no detail-type")
    if not kind.startswith(_PREFIX):
        return None
    detail = _object(event.get("detail") or {})
    datastore_id = detail.get("datastoreId")
    image_set_id = detail.get("imageSetId") or detail.get("imagesetId")
    for arn in event.get("resources") or ():
        found = _ARN.search(str(arn))
        if found is not None:
            datastore_id = datastore_id or found[1]
            image_set_id = image_set_id or found[2]
    if not (_is_id(datastore_id) and _is_id(image_set_id)):
        raise ValueError(f"the event {kind!r} names no image set")
    state = detail.get("imageSetState")
    what = kind.removeprefix(_PREFIX)
    return ImageSetEvent(
        datastore_id=str(datastore_id),
        image_set_id=str(image_set_id),
        version=_version(detail.get("imageSetVersion")),
        deleted=what == "Deleted" or state == "DELETED",
        settled=what in ("Created", "Copied", "Updated", "Deleted"),
    )


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("the message is no JSON object")
    return value


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _version(value: Any) -> int | None:
    """Versions are numbers that come as text; "10" is later than "9"."""
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
