"""UpdateImageSetMetadata, CopyImageSet, TagResource, UntagResource and ListTagsForResource."""

from typing import Any

from flask import Blueprint, Response, request

from dicomweb_gateway.emulator.catalogue import Row
from dicomweb_gateway.emulator.copying import copy_image_set, parse_copy
from dicomweb_gateway.emulator.datastores import find_datastore
from dicomweb_gateway.emulator.errors import InvalidRequest
from dicomweb_gateway.emulator.image_sets import LOCKED
from dicomweb_gateway.emulator.routes.datastores import datastore_arn
from dicomweb_gateway.emulator.services import Services
from dicomweb_gateway.emulator.tags import tag, tags_of, untag
from dicomweb_gateway.emulator.updating import parse_update, update_image_set
from dicomweb_gateway.emulator.versions import writable
from dicomweb_gateway.emulator.wire import json_answer, json_body, require_ids, seconds

_IMAGE_SET = "/datastore/<datastore_id>/imageSet/<image_set_id>"
_TAGS = "/tags/<path:arn>"


def change_routes(services: Services) -> Blueprint:
    """The operations that change what is stored; what they begin is done when it is asked for again."""
    routes = Blueprint("changes", __name__)
    storage, events = services.storage, services.events

    @routes.post(f"{_IMAGE_SET}/updateImageSetMetadata", endpoint="UpdateImageSetMetadata")
    def update(datastore_id: str, image_set_id: str) -> Response:
        require_ids(datastoreId=datastore_id, imageSetId=image_set_id)
        find_datastore(storage.catalogue, datastore_id)
        row = writable(storage, datastore_id, image_set_id, request.args.get("latestVersion"))
        changed = update_image_set(
            storage,
            row,
            parse_update(json_body(request)),
            force=_flag("force"),
            whole_study=_flag("includeStudyImageSets"),
        )
        for one, version in changed:
            events.image_set("Updating", one, version)
            events.image_set("Updated", one, version)
        status = "UPDATING_FOR_STUDY_CONSISTENCY" if len(changed) > 1 else "UPDATING"
        told = _properties(services, row, changed[0][1], status)
        del told["imageSetArn"]
        return json_answer({"datastoreId": datastore_id, **told, "message": None})

    @routes.post(f"{_IMAGE_SET}/copyImageSet", endpoint="CopyImageSet")
    def copy(datastore_id: str, image_set_id: str) -> Response:
        require_ids(datastoreId=datastore_id, imageSetId=image_set_id)
        find_datastore(storage.catalogue, datastore_id)
        asked = parse_copy(json_body(request))
        if asked.destination_id is not None:
            require_ids(imageSetId=asked.destination_id)
        done = copy_image_set(
            storage,
            datastore_id,
            image_set_id,
            asked,
            force=_flag("force"),
            promote=_flag("promoteToPrimary"),
        )
        source, target = done.source, done.destination
        events.image_set("Copying With Read Only Access", source, source["version"])
        events.image_set("Copying", target, done.version, source["id"])
        events.image_set("Copied", target, done.version, source["id"])
        reading = "COPYING_WITH_READ_ONLY_ACCESS"
        return json_answer(
            {
                "datastoreId": datastore_id,
                "sourceImageSetProperties": _properties(services, source, source["version"], reading),
                "destinationImageSetProperties": _properties(services, target, done.version, "COPYING"),
            }
        )

    @routes.get(_TAGS, endpoint="ListTagsForResource")
    def listing(arn: str) -> Response:
        return json_answer({"tags": tags_of(storage, arn)})

    @routes.post(_TAGS, endpoint="TagResource")
    def tagging(arn: str) -> Response:
        tag(storage, arn, json_body(request).get("tags"))
        return json_answer({})

    @routes.delete(_TAGS, endpoint="UntagResource")
    def untagging(arn: str) -> Response:
        untag(storage, arn, request.args.getlist("tagKeys"))
        return json_answer({})

    return routes


def _flag(name: str) -> bool:
    text = request.args.get(name, "false").lower()
    if text not in ("true", "false"):
        raise InvalidRequest(f"{name} must be true or false")
    return text == "true"


def _properties(services: Services, row: Row, version: int, status: str) -> dict[str, Any]:
    return {
        "imageSetId": row["id"],
        "latestVersionId": str(version),
        "imageSetState": LOCKED,
        "imageSetWorkflowStatus": status,
        "createdAt": seconds(row["created"]),
        "updatedAt": seconds(row["updated"]),
        "imageSetArn": f"{datastore_arn(services, row['datastore_id'])}/imageset/{row['id']}",
    }
