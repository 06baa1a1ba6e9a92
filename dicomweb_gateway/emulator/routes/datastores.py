"""CreateDatastore, GetDatastore, ListDatastores, DeleteDatastore."""

from typing import Any

from flask import Blueprint, Response, request

from dicomweb_gateway.emulator.catalogue import Row
from dicomweb_gateway.emulator.config import HTJ2K_STORAGE, J2K_STORAGE
from dicomweb_gateway.emulator.datastores import (
    create_datastore,
    delete_datastore,
    find_datastore,
    list_datastores,
)
from dicomweb_gateway.emulator.errors import InvalidRequest
from dicomweb_gateway.emulator.pages import page_offset, page_size, write_token
from dicomweb_gateway.emulator.services import Services
from dicomweb_gateway.emulator.tags import checked_tags, put_tags
from dicomweb_gateway.emulator.wire import json_answer, json_body, require_ids, seconds, text_member

_STATUSES = ("CREATING", "CREATE_FAILED", "ACTIVE", "DELETING", "DELETED")


def datastore_routes(services: Services) -> Blueprint:
    """The operations on data stores; a new one is ACTIVE as soon as it is asked for again."""
    routes = Blueprint("datastores", __name__)
    catalogue, config = services.storage.catalogue, services.config

    @routes.post("/datastore", endpoint="CreateDatastore")
    def create() -> Response:
        body = json_body(request)
        storage_format = body.get("losslessStorageFormat") or config.lossless_storage_format
        if storage_format not in (HTJ2K_STORAGE, J2K_STORAGE):
            raise InvalidRequest(f"losslessStorageFormat must be {HTJ2K_STORAGE} or {J2K_STORAGE}")
        tags = checked_tags(body.get("tags") or {})
        datastore_id = create_datastore(
            catalogue,
            name=text_member(body, "datastoreName", longest=256),
            client_token=text_member(body, "clientToken", longest=64),
            storage_format=storage_format,
            kms_key_arn=text_member(body, "kmsKeyArn"),
            lambda_authorizer_arn=text_member(body, "lambdaAuthorizerArn"),
        )
        put_tags(services.storage, datastore_arn(services, datastore_id), tags)
        for kind in ("Creating", "Created"):
            services.events.data_store(kind, datastore_id, body.get("datastoreName"))
        return json_answer({"datastoreId": datastore_id, "datastoreStatus": "CREATING"})

    @routes.get("/datastore/<datastore_id>", endpoint="GetDatastore")
    def get(datastore_id: str) -> Response:
        require_ids(datastoreId=datastore_id)
        row = find_datastore(catalogue, datastore_id, active=False)
        return json_answer({"datastoreProperties": _properties(row, services)})

    @routes.get("/datastore", endpoint="ListDatastores")
    def listing() -> Response:
        status = request.args.get("datastoreStatus")
        if status is not None and status not in _STATUSES:
            raise InvalidRequest(f"datastoreStatus must be one of {', '.join(_STATUSES)}")
        size, offset = page_size(request.args), page_offset(request.args)
        rows = list_datastores(catalogue, status, size + 1, offset)
        return json_answer(
            {
                "datastoreSummaries": [_summary(row, services) for row in rows[:size]],
                "nextToken": write_token(offset + size) if len(rows) > size else None,
            }
        )

    @routes.delete("/datastore/<datastore_id>", endpoint="DeleteDatastore")
    def delete(datastore_id: str) -> Response:
        require_ids(datastoreId=datastore_id)
        name = find_datastore(catalogue, datastore_id)["name"]
        delete_datastore(catalogue, datastore_id)
        for kind in ("Deleting", "Deleted"):
            services.events.data_store(kind, datastore_id, name)
        return json_answer({"datastoreId": datastore_id, "datastoreStatus": "DELETING"})

    return routes


def datastore_arn(services: Services, datastore_id: str) -> str:
    """The ARN of a data store (1.3)."""
    config = services.config
    return f"arn:aws:medical-imaging:{config.region}:{config.account}:datastore/{datastore_id}"


def _summary(row: Row, services: Services) -> dict[str, Any]:
    return {
        "datastoreId": row["id"],
        "datastoreName": row["name"],
        "datastoreStatus": row["status"],
        "datastoreArn": datastore_arn(services, row["id"]),
        "createdAt": seconds(row["created"]),
        "updatedAt": seconds(row["updated"]),
    }


def _properties(row: Row, services: Services) -> dict[str, Any]:
    return {
        **_summary(row, services),
        "kmsKeyArn": row["kms_key_arn"],
        "lambdaAuthorizerArn": row["lambda_authorizer_arn"],
        "losslessStorageFormat": row["storage_format"],
    }
