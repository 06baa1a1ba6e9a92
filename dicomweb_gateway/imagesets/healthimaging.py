"""HealthImaging, the ImageSetStore of production; the emulator is only another endpoint URL."""

import os
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import orjson

from dicomweb_gateway.errors import UpstreamDenied, UpstreamFailed, UpstreamNotFound
from dicomweb_gateway.imagesets.aws_client import ClientSettings, caller_arn, credentials_source, make_client
from dicomweb_gateway.imagesets.aws_errors import BodyCut, translated
from dicomweb_gateway.imagesets.call_numbers import calls_tally
from dicomweb_gateway.imagesets.direct import Call, DirectClient
from dicomweb_gateway.imagesets.hedging import Hedging
from dicomweb_gateway.imagesets.pacing import RateLimits, Rates, Urgency, is_urgent
from dicomweb_gateway.imagesets.passed_on import PassedOn
from dicomweb_gateway.imagesets.retries import Persistence
from dicomweb_gateway.imagesets.store import FrameKey, ImageSetProperties, ImageSetRef, ImageSetSummary

MAX_METADATA_BYTES = 512 << 20
"""Gunzipped; HealthImaging's own quota for the metadata of an image set is 50 MB (1.6)."""

_GZIP = b"\x1f\x8b"
_FRAME_PATIENCE = 20.0
_METADATA_PATIENCE = 60.0
_CLIENT_SECONDS = 30.0
"""How long a client of the SDK is kept at least."""


class HealthImaging:
    """An ImageSetStore; safe from any thread, and over fork: each process makes its own client at first use.

    Timeouts are in seconds and per try. `busy_seconds` is how long a 409 (image set still processing) is
    waited out in all. Frames and metadata documents do not go through the SDK, nor do calls that are
    `passed_on`; all other rare calls do.
    """

    def __init__(
        self,
        endpoint_url: str | None = None,
        region: str | None = None,
        max_connections: int = 32,
        connect_timeout: float = 5,
        read_timeout: float = 20,
        busy_seconds: float = 15,
        limits: RateLimits | None = None,
    ) -> None:
        self._settings = ClientSettings(endpoint_url, region, max_connections, connect_timeout, read_timeout)
        self._tally = calls_tally()
        self._rates = Rates(limits or RateLimits(), endpoint_url or region or "", self._tally)
        self._direct = DirectClient(self._settings, self._tally)
        self._frames = Persistence(
            "GetImageFrame", self._rates.frames, self._tally, busy_seconds, _FRAME_PATIENCE
        )
        self._documents = Persistence(
            "GetImageSetMetadata", self._rates.documents, self._tally, busy_seconds, _METADATA_PATIENCE
        )
        self.passed_on = PassedOn(self._direct, self._tally, busy_seconds)
        self._hedging = Hedging()
        self._lock = threading.Lock()
        self._client: Any = None
        self._made_at = 0.0
        self._owner = 0

    def credentials_source(self) -> str:
        """Where AWS credentials were found, in words for the start-up log; never a part of them."""
        return credentials_source(self._settings)

    def ping(self) -> None:
        """Return when HealthImaging answers; the UpstreamError that fits else."""
        with self.asking("ListDatastores") as api:
            api.list_datastores(maxResults=1)

    def identity(self) -> str:
        """The ARN of whom the credentials belong to, as STS says; UpstreamDenied when they are no good."""
        with translated("GetCallerIdentity"):
            return caller_arn(self._settings)

    def clock_ahead(self) -> float | None:
        """Seconds that HealthImaging's clock is ahead of ours, to about one; None when it says nothing.

        A refusal tells the time too, and a clock that is off is a reason for one.
        """
        began = time.time()
        try:
            with self.asking("ListDatastores") as api:
                answer = api.list_datastores(maxResults=1)
        except UpstreamDenied as error:
            answer = getattr(error.__cause__, "response", None) or {}
        headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        try:
            told = parsedate_to_datetime(headers["date"]).timestamp()
        except (KeyError, ValueError, TypeError):
            return None
        # the header has whole seconds: half of one is added on average
        return told + 0.5 - (began + time.time()) / 2

    def data_store_ids(self) -> list[str]:
        """Ids of the ACTIVE data stores."""
        with self.asking("ListDatastores") as api:
            pages = api.get_paginator("list_datastores").paginate(datastoreStatus="ACTIVE")
            return [row["datastoreId"] for page in pages for row in page.get("datastoreSummaries") or ()]

    def search(self, datastore_id: str, updated_since: datetime | None = None) -> Iterator[ImageSetSummary]:
        """Image sets of a data store, oldest change first, so that a cut run can go on."""
        criteria: dict[str, Any] = {"sort": {"sortField": "updatedAt", "sortOrder": "ASC"}}
        if updated_since is not None:
            # BETWEEN needs an upper bound; tomorrow allows for clocks that differ
            until = datetime.now(UTC) + timedelta(days=1)
            values = [{"updatedAt": updated_since}, {"updatedAt": until}]
            criteria["filters"] = [{"operator": "BETWEEN", "values": values}]
        return self._listed(datastore_id, criteria)

    def image_sets_of_study(self, datastore_id: str, study_uid: str) -> Iterator[ImageSetSummary]:
        """Image sets of one study in a data store."""
        values = [{"DICOMStudyInstanceUID": study_uid}]
        return self._listed(datastore_id, {"filters": [{"operator": "EQUAL", "values": values}]})

    def _listed(self, datastore_id: str, criteria: dict[str, Any]) -> Iterator[ImageSetSummary]:
        with self.asking("SearchImageSets") as api:
            pages = api.get_paginator("search_image_sets")
            for page in pages.paginate(datastoreId=datastore_id, searchCriteria=criteria):
                for row in page.get("imageSetsMetadataSummaries") or ():
                    yield _summary(datastore_id, row)

    def image_set(self, ref: ImageSetRef) -> ImageSetProperties:
        """Properties of one image set."""
        with self.asking("GetImageSet") as api:
            found = api.get_image_set(**_names(ref))
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
        version = "" if ref.version_id is None else f"version={quote(ref.version_id, safe='-._~')}"
        call = Call(
            "GetImageSetMetadata", ref.datastore_id, ref.image_set_id, version, limit=MAX_METADATA_BYTES
        )

        def once() -> bytes:
            return gunzip(self._direct.send(call, deadline).body)

        return self._documents.run(once, ref.datastore_id, ref.image_set_id, deadline)

    def frame(self, key: FrameKey, deadline: float | None = None, urgent: Urgency = True) -> bytes:
        """One frame, byte for byte as HealthImaging sent it; never empty.

        No try starts after `deadline` (time.monotonic); UpstreamTimeout then. A frame that nobody waits for
        yet is not `urgent` and leaves a share of the rate to those that are.
        """
        if not key.frame_id:
            raise UpstreamNotFound("HealthImaging knows no such id (GetImageFrame)")
        body = orjson.dumps({"imageFrameId": key.frame_id})
        call = Call("GetImageFrame", key.datastore_id, key.image_set_id, body=body)
        rate = self._rates.frames(key.datastore_id)

        def once() -> bytes:
            may_ask = _always if rate is None else rate.try_take
            hedge = self._hedging.plan(may_ask) if is_urgent(urgent) else None
            reply = self._direct.send(call, deadline, hedge)
            self._hedging.learn(reply.begun)
            if not reply.body:
                raise BodyCut("HealthImaging sent an empty body")
            return reply.body

        return self._frames.run(once, key.datastore_id, key.frame_id, deadline, urgent)

    def counters(self) -> dict[str, int | float]:
        """What this process has asked of HealthImaging for frames and metadata, and how that went."""
        return self._tally.snapshot()

    def close(self) -> None:
        """Leave no connection open; what is under way breaks off."""
        self._direct.close()
        with self._lock:
            client, self._client = self._client, None
        if client is not None and self._owner == os.getpid():
            client.close()

    @contextmanager
    def asking(self, operation: str) -> Iterator[Any]:
        """The SDK's client, its errors as ours.

        It keeps the credentials that it was made with: when they are refused the next call has it made anew.
        """
        with translated(operation):
            client = self._api()
        try:
            with translated(operation):
                yield client
        except UpstreamDenied:
            with self._lock:
                # a right that is missing would have each call cost a new one
                if self._client is client and time.monotonic() - self._made_at > _CLIENT_SECONDS:
                    self._client = None
            raise

    def _api(self) -> Any:
        with self._lock:
            if self._client is None or self._owner != os.getpid():
                self._made_at = time.monotonic()
                self._client = make_client(self._settings)
                self._owner = os.getpid()
            return self._client


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


def _always() -> bool:
    return True


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
