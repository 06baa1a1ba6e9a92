"""The instances that a path names, out of the index, parents checked (dicomweb.md C-6, Q-37)."""

from collections.abc import Iterator
from itertools import chain

from dicomweb_gateway.errors import InvalidRequest, PayloadTooLarge, ResourceNotFound
from dicomweb_gateway.index.reader import IndexReader
from dicomweb_gateway.index.records import InstanceOutline, InstanceRecord
from dicomweb_gateway.wado.archive import Archive, version_of
from dicomweb_gateway.web.resource import ResourcePath
from dicomweb_gateway.web.services import Services


def selected_instances(index: IndexReader, path: ResourcePath) -> Iterator[InstanceRecord]:
    """Every instance below `path` in Q-37 order; ResourceNotFound, at once, when there is none."""
    records = _instances(index, path)
    first = next(records, None)
    if first is None:
        raise ResourceNotFound("there is nothing below this path")
    return chain([first], records)


def selected_outlines(index: IndexReader, path: ResourcePath) -> Iterator[InstanceOutline]:
    """What metadata need of `selected_instances`."""
    if path.series_uid is not None and path.instance_uid is not None:
        return iter([index.instance(_study(path), path.series_uid, path.instance_uid).outline])
    outlines = index.outlines(_study(path), path.series_uid)
    first = next(outlines, None)
    if first is None:
        raise ResourceNotFound("there is nothing below this path")
    return chain([first], outlines)


def all_instances(gateway: Services, path: ResourcePath) -> list[InstanceRecord]:
    """Every instance below `path`, to be retrieved at once; ResourceNotFound when there is none.

    PayloadTooLarge when their decoded pixel data exceed `max_retrieve_bytes` (W-10).
    """
    records = list(selected_instances(gateway.archive.index, path))
    limit = gateway.config.max_retrieve_bytes
    total = sum(len(one.frames) * one.pixels.frame_length for one in records if one.pixels is not None)
    if limit is not None and total > limit:
        raise PayloadTooLarge(
            f"{len(records)} instances have {total} bytes of pixel data, {limit} may be retrieved at once; "
            "ask for smaller parts, or instance by instance"
        )
    return records


def image_set_versions(archive: Archive, path: ResourcePath) -> list[str]:
    """One text per image set below `path` that changes with its content, for entity tags (H-5).

    ResourceNotFound when there is none. An image set whose version nobody tells has its document read. Of a
    study or series there is one text more for those who may not see all of the archive: their answers may
    lack what others' hold, and are never taken for them.
    """
    sight: list[str] = []
    if path.instance_uid is None:
        refs = archive.index.image_sets(_study(path), path.series_uid)
        sight = [archive.index.sight.digest] if archive.index.sight.digest else []
    else:
        refs = [record.image_set for record in _instances(archive.index, path)]
    return [*sight, *(f"{ref.datastore_id}/{ref.image_set_id}/{version_of(archive, ref)}" for ref in refs)]


def _instances(index: IndexReader, path: ResourcePath) -> Iterator[InstanceRecord]:
    study = _study(path)
    if path.series_uid is None:
        return iter(index.study_instances(study))
    if path.instance_uid is None:
        return iter(index.series_instances(study, path.series_uid))
    return iter([index.instance(study, path.series_uid, path.instance_uid)])


def _study(path: ResourcePath) -> str:
    if path.study_uid is None:
        raise InvalidRequest("the path names no study")
    return path.study_uid
