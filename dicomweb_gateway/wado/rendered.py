"""Rendered images: frames through decoder and display pipeline (dicomweb.md section 5)."""

from collections.abc import Iterator
from dataclasses import dataclass

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.dicom.transfer_syntax import transfer_syntax
from dicomweb_gateway.errors import NotAcceptable
from dicomweb_gateway.imagesets.dataset import frame_dataset
from dicomweb_gateway.imagesets.metadata import InstanceDocument
from dicomweb_gateway.index.records import InstanceRecord
from dicomweb_gateway.pixels.animation import TIMES, animate, frame_durations
from dicomweb_gateway.pixels.decoders import decoded_photometric
from dicomweb_gateway.pixels.encode import encode_image
from dicomweb_gateway.pixels.optionals import Samples
from dicomweb_gateway.pixels.options import RenderOptions
from dicomweb_gateway.pixels.presentation import DISPLAYED, presentation_of
from dicomweb_gateway.pixels.profile import OWN, PROFILED_TYPES, PROFILES, SRGB, own_profile, profiled
from dicomweb_gateway.pixels.render import render
from dicomweb_gateway.pixels.resize import reduction_for
from dicomweb_gateway.wado.archive import Archive, document_of
from dicomweb_gateway.wado.frames import decoded_frame, prefetch_behind, wanted_frames


@dataclass(frozen=True, slots=True)
class Picture:
    """An instance that can be shown, its metadata at hand; frames are fetched when they are asked for."""

    archive: Archive
    record: InstanceRecord
    pixels: PixelDescription
    document: InstanceDocument


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
    pixels = described_image(record)
    return Picture(archive, record, pixels, document_of(archive, record))


def rendered_frame(picture: Picture, frame_number: int, options: RenderOptions, media_type: str) -> bytes:
    """Frame `frame_number` (1-based) as an encoded image of `media_type`, one of `RENDERED_TYPES`.

    Raises ResourceNotFound past the last frame, InvalidRequest for a viewport outside the image,
    UndecodablePixels when no decoder takes the frame.
    """
    image = _shown(picture, frame_number, options)
    if media_type not in PROFILED_TYPES or options.profile not in (OWN, SRGB):
        return encode_image(image, media_type, options.quality)
    own = own_profile(frame_dataset(picture.document, frame_number - 1, PROFILES), 0)
    image, profile = profiled(image, options.profile, own)
    return encode_image(image, media_type, options.quality, profile)


def rendered_first_frame(
    archive: Archive, record: InstanceRecord, options: RenderOptions, media_type: str
) -> bytes:
    """Frame 1 of an instance of which nothing is at hand; raises what its two steps raise."""
    return rendered_frame(open_picture(archive, record), 1, options, media_type)


def rendered_animation(picture: Picture, options: RenderOptions) -> Iterator[bytes]:
    """All frames as an animated GIF, in pieces of one frame each (R-3)."""
    count = len(picture.record.frames)

    def image(place: int) -> Samples:
        prefetch_behind(picture.archive, picture.record, picture.record.frames, place)
        return _shown(picture, place + 1, options)

    images = map(image, range(count))
    return animate(images, frame_durations(frame_dataset(picture.document, 0, TIMES), count))


def _shown(picture: Picture, frame_number: int, options: RenderOptions) -> Samples:
    record, pixels = picture.record, picture.pixels
    wanted = wanted_frames(record, [frame_number])[0]
    presentation = presentation_of(frame_dataset(picture.document, frame_number - 1, DISPLAYED), 0)
    reduce = reduction_for(
        options.viewport, pixels, aspect=presentation.aspect, index_values=presentation.index_values
    )
    samples = decoded_frame(picture.archive, record, wanted, pixels, reduce)
    photometric = decoded_photometric(record.transfer_syntax_uid, pixels)
    return render(samples, pixels, photometric, presentation, options)
