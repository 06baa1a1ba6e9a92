"""What the index gives to retrieval: one frozen value per stored instance."""

from dataclasses import dataclass, field
from typing import NamedTuple

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.imagesets.store import ImageSetRef, WantedFrame
from dicomweb_gateway.sight import Sight, Traits


@dataclass(frozen=True, slots=True)
class InstanceRecord:
    """All that retrieval needs to know of one instance before it reads the image set metadata.

    `image_set` carries the version that was indexed; it is the winner when several image sets hold the
    instance (dicomweb.md Q-52). `frames` is in frame order, frame 1 first, and empty together with
    `pixels` None when the instance has no pixel data. `pixels` can also be None when frames exist that
    the instance does not describe. `traits` are by which a sight judges it, the same object for all of a
    series; None where they were not read. `is_shared`: other image sets describe the series too, so that
    another caller may be led to another instance by the same path.
    """

    study_uid: str
    series_uid: str
    instance_uid: str
    sop_class_uid: str
    image_set: ImageSetRef
    transfer_syntax_uid: str
    pixels: PixelDescription | None
    frames: tuple[WantedFrame, ...]
    modality: str | None
    instance_number: int | None
    traits: Traits | None = field(default=None, compare=False, repr=False)
    is_shared: bool = field(default=False, compare=False, repr=False)

    @property
    def outline(self) -> "InstanceOutline":
        """What metadata need of it."""
        return InstanceOutline(
            self.study_uid,
            self.series_uid,
            self.instance_uid,
            self.image_set,
            self.transfer_syntax_uid,
            self.pixels,
            bool(self.frames),
        )


class InstanceOutline(NamedTuple):
    """What metadata need of an instance: an InstanceRecord without its frames, which cost most to read."""

    study_uid: str
    series_uid: str
    instance_uid: str
    image_set: ImageSetRef
    transfer_syntax_uid: str
    pixels: PixelDescription | None
    has_frames: bool


class SeenFrame(NamedTuple):
    """A frame as HealthImaging's own address names it, and the traits of the series that holds it."""

    wanted: WantedFrame
    traits: Traits


def is_seen(sight: Sight, datastore_id: str, traits: Traits | None) -> bool:
    """Whether a kept value may be shown; what was kept without the traits that decide may not."""
    if traits is None and sight.has_wanted:
        return False
    return sight.shows(datastore_id, traits or {})
