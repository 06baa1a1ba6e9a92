"""The seam to HealthImaging: what the gateway asks of an image set store, and the values it gets.

`healthimaging.py` is the implementation over boto3; the emulator is only another endpoint URL to it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol


class FrameKey(NamedTuple):
    """Names one frame for good: the three ids never change meaning (healthimaging.md 1.3, 4.3)."""

    datastore_id: str
    image_set_id: str
    frame_id: str


@dataclass(frozen=True, slots=True)
class ImageSetRef:
    """One image set at one version; `version_id` None means the latest."""

    datastore_id: str
    image_set_id: str
    version_id: str | None = None


@dataclass(frozen=True, slots=True)
class WantedFrame:
    """A frame and all that is needed to fetch it and to know that it is right.

    `checksum` is the unsigned CRC-32 of the image set metadata, None when unknown. It covers the decoded
    little-endian samples of frames kept as HTJ2K or JPEG 2000 lossless, the stored bytes of all others
    (healthimaging.md 3.6). `bytes_per_sample` is BitsAllocated / 8, at least 1.
    """

    key: FrameKey
    transfer_syntax_uid: str
    checksum: int | None = None
    bytes_per_sample: int = 1


@dataclass(frozen=True, slots=True)
class ImageSetSummary:
    """One row of SearchImageSets (healthimaging.md 1.3); `is_primary` None when the store does not say."""

    datastore_id: str
    image_set_id: str
    version: int
    is_primary: bool | None
    updated_at: datetime | None
    study_uid: str | None
    series_uid: str | None


@dataclass(frozen=True, slots=True)
class ImageSetProperties:
    """The part of GetImageSet that we use; `state` is ACTIVE, LOCKED or DELETED."""

    ref: ImageSetRef
    state: str
    is_primary: bool | None
    updated_at: datetime | None


class ImageSetStore(Protocol):
    """What an image set store must do.

    Every method raises the UpstreamError subclass that fits; a result is complete or not given.
    """

    def data_store_ids(self) -> list[str]:
        """Ids of the ACTIVE data stores."""
        ...

    def search(self, datastore_id: str, updated_since: datetime | None = None) -> Iterator[ImageSetSummary]:
        """All image sets of a data store, those updated at or after `updated_since` when it is given."""
        ...

    def image_set(self, ref: ImageSetRef) -> ImageSetProperties:
        """Properties of one image set."""
        ...

    def metadata(self, ref: ImageSetRef, deadline: float | None = None) -> bytes:
        """The metadata document as UTF-8 JSON, already gunzipped.

        UpstreamTimeout when it has not come by `deadline` (time.monotonic).
        """
        ...

    def frame(self, key: FrameKey, deadline: float | None = None, urgent: bool = True) -> bytes:
        """One frame, byte for byte as HealthImaging sent it; `urgent` says that somebody waits for it.

        UpstreamTimeout when it has not come by `deadline` (time.monotonic).
        """
        ...
