"""HealthImaging over boto3: the ImageSetStore of production; the emulator is only another endpoint URL."""

import os
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from dicomweb_gateway.errors import UpstreamBusy, UpstreamFailed, UpstreamTimeout
from dicomweb_gateway.imagesets.aws_client import ATTEMPTS, ClientSettings, credentials_source, make_client
from dicomweb_gateway.imagesets.aws_errors import BodyCut, translated
from dicomweb_gateway.imagesets.store import FrameKey, ImageSetProperties, ImageSetRef, ImageSetSummary

MAX_METADATA_BYTES = 512 << 20
"""Gunzipped; HealthImaging's own quota for the metadata of an image set is 50 MB (1.6)."""

_GZIP = b"\x1f\x8b"
_CHUNK = 1 << 18
_FIRST_WAIT = 0.2
_LONGEST_WAIT = 3.0
_T = TypeVar("_T")


class HealthImaging:
    """An ImageSetStore; safe from any thread, and over fork: each process makes its own client at first use.

    Timeouts are in seconds and per try. `busy_seconds` is how long a 409 (image set still processing, which
    the SDK does not retry) is waited out in all.
    """

    def __init__(
        self,
        endpoint_url: str | None = None,
        region: str | None = None,
        max_connections: int = 32,
        connect_timeout: float = 5,
        read_timeout: float = 20,
        busy_seconds: float = 15,
    ) -> None:
        self._settings = ClientSettings(endpoint_url, region, max_connections, connect_timeout, read_timeout)
        self._busy_seconds = busy_seconds
        self._lock = threading.Lock()
        self._client: Any = None
        self._owner = 0
        self._counts: Counter[str] = Counter()

    def credentials_source(self) -> str:
        """Where AWS credentials were found, in words for the start-up log; never a part of them."""
        return credentials_source(self._settings)

    def ping(self) -> None:
        """Return when HealthImaging answers; the UpstreamError that fits else."""
        with translated("ListDatastores"):
            self._api().list_datastores(maxResults=1)

    def data_store_ids(self) -> list[str]:
        """Ids of the ACTIVE data stores."""
        with translated("ListDatastores"):
            pages = self._api().get_paginator("list_datastores").paginate(datastoreStatus="ACTIVE")
            return [row["datastoreId"] for page in pages for row in page.get("datastoreSummaries") or ()]

    def search(self, datastore_id: str, updated_since: datetime | None = None) -> Iterator[ImageSetSummary]:
        """Image sets of a data store, oldest change first, so that a cut run can go on."""
        criteria: dict[str, Any] = {"sort": {"sortField": "updatedAt", "sortOrder": "ASC"}}
        if updated_since is not None:
            # BETWEEN needs an upper bound; tomorrow allows for clocks that differ
            until = datetime.now(UTC) + timedelta(days=1)
            values = [{"updatedAt": updated_since}, {"updatedAt": until}]
            criteria["filters"] = [{"operator": "BETWEEN", "values": values}]
        with translated("SearchImageSets"):
            pages = self._api().get_paginator("search_image_sets")
            for page in pages.paginate(datastoreId=datastore_id, searchCriteria=criteria):
                for row in page.get("imageSetsMetadataSummaries") or ():
                    yield _summary(datastore_id, row)

    def image_set(self, ref: ImageSetRef) -> ImageSetProperties:
        """Properties of one image set."""
        with translated("GetImageSet"):
            found = self._api().get_image_set(**_names(ref))
        version = found.get("versionId") or ref.version_id
        return ImageSetProperties(
            ref=ImageSetRef(ref.datastore_id, ref.image_set_id, version),
            state=found.get("imageSetState") or "",
            is_primary=found.get("isPrimary"),
            updated_at=found.get("updatedAt"),
        )

    def metadata(self, ref: ImageSetRef, deadline: float | None = None) -> bytes:
        """The metadata document as UTF-8 JSON; a 409 is waited out, a body cut short is asked again.

        No try starts after `deadline` (time.monotonic); UpstreamTimeout then.
        """

        def once() -> bytes:
            answer = self._api().get_image_set_metadata(**_names(ref))
            return gunzip(_limited(answer["imageSetMetadataBlob"]))

        return self._persistent("GetImageSetMetadata", once, deadline)

    def frame(self, key: FrameKey, deadline: float | None = None, urgent: bool = True) -> bytes:
        """One frame, byte for byte as HealthImaging sent it; never empty.

        No try starts after `deadline` (time.monotonic); UpstreamTimeout then. A frame that nobody waits for
        yet is not `urgent`.
        """

        def once() -> bytes:
            answer = self._api().get_image_frame(
                datastoreId=key.datastore_id,
                imageSetId=key.image_set_id,
                imageFrameInformation={"imageFrameId": key.frame_id},
            )
            body: bytes = answer["imageFrameBlob"].read()
            if not body:
                raise BodyCut("HealthImaging sent an empty body")
            return body

        return self._persistent("GetImageFrame", once, deadline)

    def counters(self) -> dict[str, int | float]:
        """What this process has asked of HealthImaging since it began."""
        return dict(self._counts)

    def _api(self) -> Any:
        with self._lock:
            if self._client is None or self._owner != os.getpid():
                self._client = make_client(self._settings)
                self._owner = os.getpid()
            return self._client

    def _persistent(self, operation: str, once: Callable[[], _T], deadline: float | None) -> _T:
        """`once` until it succeeds: the SDK's retries cover neither a 409 nor a body that breaks off."""
        busy_until = time.monotonic() + self._busy_seconds
        cut = 0
        wait = _FIRST_WAIT
        while True:
            if deadline is not None and time.monotonic() >= deadline:
                raise UpstreamTimeout(f"HealthImaging did not answer {operation} in time")
            self._counts["calls"] += 1
            try:
                with translated(operation):
                    return once()
            except BodyCut:
                cut += 1
                if cut >= ATTEMPTS:
                    raise
            except UpstreamBusy:
                if time.monotonic() + wait > busy_until:
                    raise
                time.sleep(wait)
                wait = min(wait * 2, _LONGEST_WAIT)


def gunzip(blob: bytes, limit: int = MAX_METADATA_BYTES) -> bytes:
    """`blob` itself, or its content when it is gzip (told by its first bytes, as no header can be trusted).

    BodyCut when the gzip data ends early, UpstreamFailed when it is corrupt or unpacks to over `limit` bytes.
    """
    pieces: list[bytes] = []
    room = limit
    rest = blob
    while rest.startswith(_GZIP):
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            piece = unpacker.decompress(rest, room + 1)
        except zlib.error as error:
            raise UpstreamFailed("HealthImaging sent corrupt gzip data") from error
        room -= len(piece)
        if room < 0:
            raise UpstreamFailed(f"image set metadata of more than {limit} bytes")
        if not unpacker.eof:
            raise BodyCut("HealthImaging sent gzip data that ends early")
        pieces.append(piece)
        rest = unpacker.unused_data
    content = b"".join(pieces) if pieces else blob
    if not content:
        raise BodyCut("HealthImaging sent an empty body")
    return content


def _limited(body: Any) -> bytes:
    pieces: list[bytes] = []
    size = 0
    for chunk in body.iter_chunks(_CHUNK):
        size += len(chunk)
        if size > MAX_METADATA_BYTES:
            raise UpstreamFailed(f"image set metadata of more than {MAX_METADATA_BYTES} bytes")
        pieces.append(chunk)
    return b"".join(pieces)


def _names(ref: ImageSetRef) -> dict[str, str]:
    names = {"datastoreId": ref.datastore_id, "imageSetId": ref.image_set_id}
    return names if ref.version_id is None else {**names, "versionId": ref.version_id}


def _summary(datastore_id: str, row: dict[str, Any]) -> ImageSetSummary:
    tags = row.get("DICOMTags") or {}
    return ImageSetSummary(
        datastore_id=datastore_id,
        image_set_id=row["imageSetId"],
        version=int(row.get("version") or 1),
        is_primary=row.get("isPrimary"),
        updated_at=row.get("updatedAt"),
        study_uid=tags.get("DICOMStudyInstanceUID"),
        series_uid=tags.get("DICOMSeriesInstanceUID"),
    )
