"""GetImageSet, GetImageSetMetadata, GetImageFrame, ListImageSetVersions, DeleteImageSet, SearchImageSets."""

from typing import Any

from flask import Blueprint, Response, request

from dicomweb_gateway.dicom.transfer_syntax import OCTET_STREAM
from dicomweb_gateway.emulator.catalogue import Row
from dicomweb_gateway.emulator.datastores import find_datastore
from dicomweb_gateway.emulator.errors import InvalidRequest, NotFound
from dicomweb_gateway.emulator.image_sets import (
    DELETED,
    LOCKED,
    begin_deletion,
    document_of,
    find_image_set,
    frame_of,
    list_versions,
    look_up,
)
from dicomweb_gateway.emulator.pages import page_offset, page_size, write_token
from dicomweb_gateway.emulator.routes.datastores import datastore_arn
from dicomweb_gateway.emulator.search import parse_search, search_image_sets
from dicomweb_gateway.emulator.services import Services
from dicomweb_gateway.emulator.shaping import shaped_document, shaped_frame
from dicomweb_gateway.emulator.wire import (
    bytes_answer,
    json_answer,
    json_body,
    require_ids,
    seconds,
    version_of,
)

_IMAGE_SET = "/datastore/<datastore_id>/imageSet/<image_set_id>"
_SYNTAX = "1.2.840.10008."
_CONTENT_TYPES = {
    f"{_SYNTAX}1.2.4.202": "image/jph",
    f"{_SYNTAX}1.2.4.50": "image/jpeg",
    f"{_SYNTAX}1.2.4.91": "image/j2c",
    f"{_SYNTAX}1.2.4.203": "image/jphc",
    f"{_SYNTAX}1.2.4.112": "image/jxl",
    **{f"{_SYNTAX}1.2.4.{n}{form}": "video/mpeg" for n in (100, 101) for form in ("", ".1")},
    **{f"{_SYNTAX}1.2.4.{n}{form}": "video/mp4" for n in range(102, 107) for form in ("", ".1")},
    **{f"{_SYNTAX}1.2.4.{n}": "video/H256" for n in (107, 108)},
}
"""Stored transfer syntax to the Content-Type of GetImageFrame (1.4), the service's own spelling."""


def image_set_routes(services: Services) -> Blueprint:
    """The operations on image sets and their frames."""
    routes = Blueprint("image_sets", __name__)
    storage, mishaps = services.storage, services.mishaps

    @routes.post(f"{_IMAGE_SET}/getImageSet", endpoint="GetImageSet")
    def get(datastore_id: str, image_set_id: str) -> Response:
        _check_path(services, datastore_id, image_set_id)
        found = look_up(storage, datastore_id, image_set_id, version_of(request))
        return json_answer(_properties(services, *found))

    @routes.post(f"{_IMAGE_SET}/getImageSetMetadata", endpoint="GetImageSetMetadata")
    def metadata(datastore_id: str, image_set_id: str) -> Response:
        row = _found(services, datastore_id, image_set_id)
        if row["state"] == DELETED:
            raise NotFound(f"Image set {image_set_id} is deleted")
        version, body = document_of(storage, row, version_of(request))
        mishaps.still_processing(image_set_id, version)

        def read_frame(frame_id: str) -> bytes:
            return frame_of(storage, datastore_id, image_set_id, frame_id)[1]

        answer = bytes_answer(shaped_document(body, mishaps.faults, read_frame), "application/json")
        answer.headers["Content-Encoding"] = "gzip"
        return answer

    @routes.post(f"{_IMAGE_SET}/getImageFrame", endpoint="GetImageFrame")
    def frame(datastore_id: str, image_set_id: str) -> Response:
        frame_id = json_body(request).get("imageFrameId")
        if not isinstance(frame_id, str):
            raise InvalidRequest("Value at 'imageFrameInformation' must have an imageFrameId")
        require_ids(datastoreId=datastore_id, imageSetId=image_set_id, imageFrameId=frame_id)
        services.counters.frame(frame_id)
        syntax, stored = frame_of(storage, datastore_id, image_set_id, frame_id)
        data = shaped_frame(stored, syntax, mishaps.faults)
        return bytes_answer(data, _CONTENT_TYPES.get(syntax, OCTET_STREAM))

    @routes.post(f"{_IMAGE_SET}/listImageSetVersions", endpoint="ListImageSetVersions")
    def versions(datastore_id: str, image_set_id: str) -> Response:
        row = _found(services, datastore_id, image_set_id)
        size, offset = page_size(request.args), page_offset(request.args)
        rows = list_versions(storage, row, size + 1, offset)
        return json_answer(
            {
                "imageSetPropertiesList": [
                    _version_properties(services, row, version) for version in rows[:size]
                ],
                "nextToken": write_token(offset + size) if len(rows) > size else None,
            }
        )

    @routes.post(f"{_IMAGE_SET}/deleteImageSet", endpoint="DeleteImageSet")
    def delete(datastore_id: str, image_set_id: str) -> Response:
        _found(services, datastore_id, image_set_id)
        row = begin_deletion(storage, datastore_id, image_set_id)
        services.events.image_set("Deleting", row, row["version"])
        services.reaper.wake()
        return json_answer(
            {
                "datastoreId": datastore_id,
                "imageSetId": image_set_id,
                "imageSetState": LOCKED,
                "imageSetWorkflowStatus": "DELETING",
            }
        )

    @routes.post("/datastore/<datastore_id>/searchImageSets", endpoint="SearchImageSets")
    def search(datastore_id: str) -> Response:
        require_ids(datastoreId=datastore_id)
        find_datastore(storage.catalogue, datastore_id)
        wanted = parse_search(json_body(request))
        found, token = search_image_sets(
            storage, datastore_id, wanted, page_size(request.args), request.args.get("nextToken")
        )
        return json_answer({"imageSetsMetadataSummaries": found, "sort": wanted.sort, "nextToken": token})

    return routes


def _found(services: Services, datastore_id: str, image_set_id: str) -> Row:
    _check_path(services, datastore_id, image_set_id)
    return find_image_set(services.storage, datastore_id, image_set_id)


def _check_path(services: Services, datastore_id: str, image_set_id: str) -> None:
    require_ids(datastoreId=datastore_id, imageSetId=image_set_id)
    find_datastore(services.storage.catalogue, datastore_id)


def _workflow(row: Row, version: Row | None) -> str:
    if row["state"] == LOCKED:
        return "DELETING"
    return DELETED if version is None else str(version["workflow"])


def _properties(services: Services, row: Row, version: Row | None) -> dict[str, Any]:
    number = row["version"] if version is None else version["version"]
    arn = f"{datastore_arn(services, row['datastore_id'])}/imageset/{row['id']}"
    return {
        "datastoreId": row["datastore_id"],
        "imageSetId": row["id"],
        "versionId": str(number),
        "imageSetState": row["state"],
        "imageSetWorkflowStatus": _workflow(row, version),
        "createdAt": seconds(row["created"]),
        "updatedAt": seconds(row["updated"] if version is None else version["updated"]),
        "deletedAt": seconds(row["deleted"]),
        "message": None,
        "imageSetArn": arn,
        "overrides": _overrides(services, row["id"], number),
        "isPrimary": bool(row["is_primary"]),
        "lastAccessedAt": seconds(row["updated"]),
        "storageTier": "FREQUENT_ACCESS",
    }


def _overrides(services: Services, image_set_id: str, version: int) -> dict[str, bool] | None:
    """What a version was forced to (1.3)."""
    found = services.storage.catalogue.one(
        "SELECT 1 FROM forced WHERE image_set_id = ? AND version = ?", (image_set_id, version)
    )
    return None if found is None else {"forced": True}


def _version_properties(services: Services, row: Row, version: Row) -> dict[str, Any]:
    """One entry of ListImageSetVersions, with the service's own capital I (1.3)."""
    return {
        "imageSetId": row["id"],
        "versionId": str(version["version"]),
        "imageSetState": row["state"],
        "ImageSetWorkflowStatus": _workflow(row, version),
        "createdAt": seconds(version["created"]),
        "updatedAt": seconds(version["updated"]),
        "deletedAt": None,
        "message": None,
        "overrides": _overrides(services, row["id"], version["version"]),
        "isPrimary": bool(row["is_primary"]),
    }
