"""Which instance stands for a series or a study (dicomweb.md R-1, R-14)."""

from collections.abc import Iterator
from dataclasses import replace

from dicomweb_gateway.errors import PayloadTooLarge
from dicomweb_gateway.index.picture_modalities import is_picture
from dicomweb_gateway.index.records import InstanceRecord
from dicomweb_gateway.wado.archive import Archive
from dicomweb_gateway.wado.documents import is_document
from dicomweb_gateway.wado.rendered import is_image, is_video


def representative_of_study(archive: Archive, study_uid: str) -> InstanceRecord:
    """The representative of the first series that has images; ResourceNotFound for no such study.

    Videos stand for a study without other pictures, then masks, doses and the like, then documents.
    """
    first = archive.index.first_series_with_images(study_uid)
    best = representative_of_series(archive, study_uid, first)
    if _rank(best) == 0:
        return best
    for series_uid in archive.index.study_series(study_uid):
        record = representative_of_series(archive, study_uid, series_uid)
        if _rank(record) < _rank(best):
            best = record
        if _rank(best) == 0:
            break
    return best


def representative_of_series(archive: Archive, study_uid: str, series_uid: str) -> InstanceRecord:
    """The middle image in Q-37 order, else the first video, the first document, the first instance.

    ResourceNotFound when there is no such series.
    """
    records = archive.index.series_instances(study_uid, series_uid)
    images = [record for record in records if is_image(record)]
    return images[len(images) // 2] if images else min(records, key=_rank)


def images_of(records: Iterator[InstanceRecord], limit: int) -> list[InstanceRecord]:
    """The instances that are images, in order, each with its first frame only (R-1).

    PayloadTooLarge for more than `limit`.
    """
    found = []
    for record in records:
        if is_image(record):
            found.append(replace(record, frames=record.frames[:1]))
        if len(found) > limit:
            raise PayloadTooLarge(
                f"more than {limit} instances cannot be rendered in one answer (MAX_RENDERED_INSTANCES); "
                "ask for them one by one, or for the representative as image/jpeg"
            )
    return found


def middle_frame(record: InstanceRecord) -> int:
    """The 1-based number of the middle frame (R-14)."""
    return max(1, (len(record.frames) + 1) // 2)


def _rank(record: InstanceRecord) -> int:
    """0 for what shows best; see `representative_of_study`."""
    if is_image(record):
        return 0 if is_picture(record.modality or "") else 2
    if is_video(record):
        return 1
    return 3 if is_document(record) else 4
