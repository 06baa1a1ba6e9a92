"""Data stores and what can be done with them and the image sets in them (healthimaging.md 1.2)."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dicomweb_gateway.errors import UpstreamBusy, UpstreamFailed, UpstreamNotFound
from dicomweb_gateway.imagesets.aws_client import ClientSettings, make_client
from dicomweb_gateway.imagesets.aws_errors import translated

ACTIVE = "ACTIVE"
_GOING = ("DELETING", "DELETED")
_POLL = 0.5


@dataclass(frozen=True, slots=True)
class DataStore:
    """One data store; what ListDatastores does not tell is None there."""

    datastore_id: str
    name: str
    status: str
    arn: str | None = None
    created_at: datetime | None = None
    storage_format: str | None = None
    kms_key_arn: str | None = None


class DataStores:
    """The calls on data stores; each raises the UpstreamError that fits."""

    def __init__(self, endpoint_url: str | None, region: str | None) -> None:
        self._client: Any = make_client(ClientSettings(endpoint_url, region))

    def close(self) -> None:
        """Leave no connection open."""
        self._client.close()

    def all(self, status: str | None = None) -> Iterator[DataStore]:
        """All data stores, those with this status when one is named."""
        wanted = {} if status is None else {"datastoreStatus": status}
        with translated("ListDatastores"):
            for page in self._client.get_paginator("list_datastores").paginate(**wanted):
                for row in page.get("datastoreSummaries") or ():
                    yield _store(row)

    def get(self, datastore_id: str) -> DataStore:
        """One data store with all that is known of it."""
        with translated("GetDatastore"):
            return _store(self._client.get_datastore(datastoreId=datastore_id)["datastoreProperties"])

    def create(self, name: str, client_token: str | None = None, seconds: float = 600) -> DataStore:
        """A new data store, ACTIVE when this returns; UpstreamFailed when it has not come in `seconds`."""
        token = {} if client_token is None else {"clientToken": client_token}
        with translated("CreateDatastore"):
            made = self._client.create_datastore(datastoreName=name, **token)
        until = time.monotonic() + seconds
        while True:
            store = self.get(made["datastoreId"])
            if store.status == ACTIVE:
                return store
            if store.status == "CREATE_FAILED" or time.monotonic() > until:
                raise UpstreamFailed(f"the data store {store.datastore_id} is {store.status}")
            time.sleep(_POLL)

    def delete(self, datastore_id: str) -> None:
        """Delete an empty data store."""
        with translated("DeleteDatastore"):
            self._client.delete_datastore(datastoreId=datastore_id)

    def remove(self, datastore_id: str) -> None:
        """Delete an empty data store; one that is gone already, or on its way, is no error."""
        try:
            status = self.get(datastore_id).status
        except UpstreamNotFound:
            return
        if status not in _GOING:
            self.delete(datastore_id)

    def tags(self, datastore_id: str) -> dict[str, str]:
        """The tags of a data store."""
        with translated("ListTagsForResource"):
            found: dict[str, str] = self._client.list_tags_for_resource(resourceArn=self._arn(datastore_id))[
                "tags"
            ]
            return found

    def tag(self, datastore_id: str, tags: Mapping[str, str]) -> None:
        """Set these tags; others stay."""
        with translated("TagResource"):
            self._client.tag_resource(resourceArn=self._arn(datastore_id), tags=dict(tags))

    def untag(self, datastore_id: str, keys: Sequence[str]) -> None:
        """Take these tags off."""
        with translated("UntagResource"):
            self._client.untag_resource(resourceArn=self._arn(datastore_id), tagKeys=list(keys))

    def image_set_ids(self, datastore_id: str, **equal: str) -> Iterator[str]:
        """Ids of image sets, all or those of a DICOMStudyInstanceUID or DICOMSeriesInstanceUID.

        SearchImageSets takes one such key a call (4.6).
        """
        filters = [{"operator": "EQUAL", "values": [{name: value}]} for name, value in equal.items()]
        criteria = {"filters": filters} if filters else {}
        with translated("SearchImageSets"):
            pages = self._client.get_paginator("search_image_sets")
            for page in pages.paginate(datastoreId=datastore_id, searchCriteria=criteria):
                for row in page.get("imageSetsMetadataSummaries") or ():
                    yield str(row["imageSetId"])

    def delete_image_set(self, datastore_id: str, image_set_id: str, seconds: float = 300) -> None:
        """Delete an image set; returns when it is gone. One that is gone already is no error."""
        names = {"datastoreId": datastore_id, "imageSetId": image_set_id}
        until = time.monotonic() + seconds
        try:
            while True:
                with translated("GetImageSet"):
                    state = self._client.get_image_set(**names)["imageSetState"]
                if state == "DELETED":
                    return
                if time.monotonic() > until:
                    raise UpstreamFailed(f"image set {image_set_id} is still {state}")
                if state == ACTIVE:
                    self._ask_to_delete(names)
                else:
                    time.sleep(_POLL)
        except UpstreamNotFound:
            return

    def _ask_to_delete(self, names: dict[str, str]) -> None:
        try:
            with translated("DeleteImageSet"):
                self._client.delete_image_set(**names)
        except UpstreamBusy:
            time.sleep(_POLL)

    def _arn(self, datastore_id: str) -> str:
        return self.get(datastore_id).arn or ""


def _store(row: dict[str, Any]) -> DataStore:
    return DataStore(
        datastore_id=row["datastoreId"],
        name=row.get("datastoreName") or "",
        status=row.get("datastoreStatus") or "",
        arn=row.get("datastoreArn"),
        created_at=row.get("createdAt"),
        storage_format=row.get("losslessStorageFormat"),
        kms_key_arn=row.get("kmsKeyArn"),
    )
