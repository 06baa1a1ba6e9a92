"""Rendered images: one frame through decoder and display pipeline (dicomweb.md section 5)."""

from collections.abc import Sequence

from dicomweb_gateway.errors import NotAcceptable
from dicomweb_gateway.imagesets.dataset import instance_dataset
from dicomweb_gateway.index.records import InstanceRecord
from dicomweb_gateway.pixels.decoders import decoded_photometric
from dicomweb_gateway.pixels.encode import encode_image
from dicomweb_gateway.pixels.options import RenderOptions, reduction_for
from dicomweb_gateway.pixels.presentation import presentation_of
from dicomweb_gateway.pixels.render import render
from dicomweb_gateway.wado.archive import Archive, document_of
from dicomweb_gateway.wado.frames import decoded_frame, wanted_frames


def rendered_frame(
    archive: Archive, record: InstanceRecord, frame_number: int, options: RenderOptions, media_type: str
) -> bytes:
    """Frame `frame_number` (1-based) as an encoded image of `media_type` (image/jpeg, image/png, image/gif).

    Raises NotAcceptable for an instance without image (R-5), ResourceNotFound past the last frame,
    UndecodablePixels when no decoder takes the frame.
    """
    if record.pixels is None:
        raise NotAcceptable("the instance has no image that could be rendered")
    wanted = wanted_frames(record, [frame_number])[0]
    presentation = presentation_of(instance_dataset(document_of(archive, record)), frame_number - 1)
    reduce = reduction_for(options, record.pixels, index_values=presentation.index_values)
    samples = decoded_frame(archive, record, wanted, record.pixels, reduce)
    photometric = decoded_photometric(record.transfer_syntax_uid, record.pixels)
    image = render(samples, record.pixels, photometric, presentation, options)
    return encode_image(image, media_type, options.quality)


def representative_of_study(archive: Archive, study_uid: str) -> InstanceRecord:
    """The middle image of the first series that has images (R-14); 404 or, without images, 406."""
    series_uid = archive.index.first_series_with_images(study_uid)
    return representative_of_series(archive, study_uid, series_uid)


def representative_of_series(archive: Archive, study_uid: str, series_uid: str) -> InstanceRecord:
    """The middle image in Q-37 order (R-14); ResourceNotFound, or NotAcceptable without images (R-5)."""
    records = archive.index.series_instances(study_uid, series_uid)
    images = [record for record in records if record.pixels is not None]
    if not images:
        raise NotAcceptable("the series has no image that could be rendered")
    return images[len(images) // 2]


def middle_frame(record: InstanceRecord) -> int:
    """The 1-based number of the middle frame (R-14)."""
    return max(1, (len(record.frames) + 1) // 2)


def frame_numbers_or_first(frame_numbers: Sequence[int]) -> tuple[int, ...]:
    """The frames asked for; the first one when there is no list (R-3)."""
    return tuple(frame_numbers) or (1,)
