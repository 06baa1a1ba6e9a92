"""Rendered images: frames through decoder and display pipeline (dicomweb.md section 5)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.dicom.transfer_syntax import transfer_syntax
from dicomweb_gateway.errors import NotAcceptable
from dicomweb_gateway.imagesets.dataset import frame_dataset
from dicomweb_gateway.imagesets.metadata import InstanceDocument
from dicomweb_gateway.index.records import InstanceRecord
from dicomweb_gateway.pixels.animation import TIMES, animate, frame_durations
from dicomweb_gateway.pixels.decoders import decode_frame, decoded_photometric
from dicomweb_gateway.pixels.encode import encode_image
from dicomweb_gateway.pixels.optionals import CODECS, Samples
from dicomweb_gateway.pixels.options import RenderOptions
from dicomweb_gateway.pixels.presentation import Presentation
from dicomweb_gateway.pixels.profile import OWN, PROFILED_TYPES, PROFILES, SRGB, own_profile, profiled
from dicomweb_gateway.pixels.render import RENDERING, render
from dicomweb_gateway.pixels.resize import reduction_for
from dicomweb_gateway.telemetry.timeline import span
from dicomweb_gateway.wado.archive import Archive, document_of, version_of
from dicomweb_gateway.wado.frames import prefetch_behind, stored_frames, wanted_frames

MADE_BY = f"rendering {RENDERING}, {CODECS}"
"""What makes pictures, for the names of those that are kept: another version may give other bytes."""


@dataclass(frozen=True)
class Picture:
    """An instance that can be shown; metadata and frames are fetched when they are needed."""

    archive: Archive
    record: InstanceRecord
    pixels: PixelDescription

    @cached_property
    def document(self) -> InstanceDocument:
        """The instance's metadata; raises as `document_of` does."""
        return document_of(self.archive, self.record)

    def presentation(self, frame_number: int) -> Presentation:
        """How to show frame `frame_number` (1-based); raises as `document_of` does.

        The frame itself is on its way by then, which whoever asks for this wants next.
        """
        ref = self.record.image_set

        def document() -> InstanceDocument:
            if not self.archive.documents.holds(ref):
                # one after the other would be two round trips to HealthImaging
                self.archive.frames.prefetch(wanted_frames(self.record, [frame_number]))
            return self.document

        name = (ref, version_of(self.archive, ref), self.record.instance_uid, frame_number)
        signed = bool(self.pixels.pixel_representation)
        return self.archive.presentations.of(name, document, frame_number - 1, signed)


def is_video(record: InstanceRecord) -> bool:
    """Whether the instance's one frame is a whole video stream (healthimaging.md 2.4)."""
    syntax = transfer_syntax(record.transfer_syntax_uid)
    return bool(record.frames) and syntax is not None and syntax.family == "video"


def is_image(record: InstanceRecord) -> bool:
    """Whether the instance has frames that a decoder may take."""
    return record.pixels is not None and bool(record.frames) and not is_video(record)


def described_image(record: InstanceRecord) -> PixelDescription:
    """The layout of the instance's image; NotAcceptable when it has none, as a video has not (R-5)."""
    if is_video(record):
        raise NotAcceptable(
            "no still image can be made of a video; /rendered of the instance gives the video"
        )
    if record.pixels is None or not record.frames:
        raise NotAcceptable("the instance has no image that could be rendered")
    return record.pixels


def open_picture(archive: Archive, record: InstanceRecord) -> Picture:
    """The instance ready to be shown; NotAcceptable like `described_image`."""
    return Picture(archive, record, described_image(record))


def kept_frame(
    picture: Picture, frame_number: int, options: RenderOptions, media_type: str, *, goes_on: bool = False
) -> bytes:
    """`rendered_frame`, made once and kept (R-11)."""

    def make() -> bytes:
        return rendered_frame(picture, frame_number, options, media_type, goes_on=goes_on)

    archive, record = picture.archive, picture.record
    if archive.pictures is None:
        return make()
    frame = wanted_frames(record, [frame_number])[0].key
    version = version_of(archive, record.image_set)
    asked = (record.instance_uid, frame_number, replace(options, warnings=()), media_type)
    return archive.pictures.get(repr((MADE_BY, *frame, version, *asked)), make)


def rendered_frame(
    picture: Picture, frame_number: int, options: RenderOptions, media_type: str, *, goes_on: bool = False
) -> bytes:
    """Frame `frame_number` (1-based) as an encoded image of `media_type`, one of `RENDERED_TYPES`.

    Raises ResourceNotFound past the last frame, InvalidRequest for a viewport outside the image,
    UndecodablePixels when no decoder takes the frame, DecodersUnavailable as `DecodeTurns.turn` does.
    """
    with _shown(picture, frame_number, options, goes_on) as image:
        return _encoded(picture, frame_number, image, options, media_type)


def _encoded(
    picture: Picture, frame_number: int, image: Samples, options: RenderOptions, media_type: str
) -> bytes:
    if media_type not in PROFILED_TYPES or options.profile not in (OWN, SRGB):
        return encode_image(image, media_type, options.quality)
    own = own_profile(frame_dataset(picture.document, frame_number - 1, PROFILES), 0)
    image, profile = profiled(image, options.profile, own)
    return encode_image(image, media_type, options.quality, profile)


def rendered_first_frame(
    archive: Archive, record: InstanceRecord, options: RenderOptions, media_type: str
) -> bytes:
    """Frame 1 of an instance of which nothing is at hand; raises what its two steps raise."""
    return kept_frame(open_picture(archive, record), 1, options, media_type, goes_on=True)


def rendered_animation(picture: Picture, options: RenderOptions) -> Iterator[bytes]:
    """All frames as an animated GIF, in pieces of one frame each (R-3)."""
    count = len(picture.record.frames)

    def image(place: int) -> Samples:
        prefetch_behind(picture.archive, picture.record, picture.record.frames, place)
        with _shown(picture, place + 1, options, goes_on=place > 0) as shown:
            return shown

    images = map(image, range(count))
    return animate(images, frame_durations(frame_dataset(picture.document, 0, TIMES), count))


@contextmanager
def _shown(picture: Picture, frame_number: int, options: RenderOptions, goes_on: bool) -> Iterator[Samples]:
    """The image of a frame; what is done with it inside belongs to the same turn of decoding."""
    record, pixels = picture.record, picture.pixels
    wanted = wanted_frames(record, [frame_number])[0]
    presentation = picture.presentation(frame_number)
    reduce = reduction_for(
        options.viewport, pixels, aspect=presentation.aspect, index_values=presentation.index_values
    )
    photometric = decoded_photometric(record.transfer_syntax_uid, pixels)
    stored = next(stored_frames(picture.archive, record, [wanted]))
    with picture.archive.turns.turn(goes_on=goes_on):
        samples = decode_frame(stored.read(), record.transfer_syntax_uid, pixels, reduce=reduce)
        with span("render"):
            yield render(samples, pixels, photometric, presentation, options)
