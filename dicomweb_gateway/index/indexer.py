"""One image set's metadata document into index rows, in one transaction, as often as one likes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from sqlalchemy import Connection, Engine, delete

from dicomweb_gateway.errors import UpstreamFailed
from dicomweb_gateway.imagesets.metadata import ImageSetDocument
from dicomweb_gateway.imagesets.store import ImageSetRef
from dicomweb_gateway.index import aws_writer, ledger, mains, side_writer, tombstones
from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.chunks import portions
from dicomweb_gateway.index.image_set_rows import (
    Links,
    StoredSet,
    find_set,
    links_of_study,
    lock_studies,
    naive_utc,
    put_links,
    put_set,
    sets_of_study,
)
from dicomweb_gateway.index.retrying import retried
from dicomweb_gateway.index.seen import note_instances


@dataclass(frozen=True, slots=True)
class IndexedImageSet:
    """What indexing one image set did.

    `applied` False: the index holds a newer version already and nothing was changed. `instances` counts
    those that this image set now gives, without those that a better image set gave. `reindex` names image
    sets that may hold something that this one no longer gives and are to be indexed again.
    """

    image_set: ImageSetRef
    study_uid: str
    applied: bool
    series: int
    instances: int
    reindex: tuple[ImageSetRef, ...]


def index_image_set(
    engine: Engine,
    document: ImageSetDocument,
    *,
    version: int,
    is_primary: bool | None = None,
    updated_at: datetime | None = None,
    zone: tzinfo = UTC,
) -> IndexedImageSet:
    """Write `document`, the metadata of its image set at `version`, into the index.

    The same call again changes nothing; an older version than the index holds is left out. Where several
    image sets give the same study, series or instance the primary wins, then the newest (dicomweb.md
    Q-52). `is_primary` and `updated_at` None keep what is known of the image set. `zone` is that of moments
    in data that names none (Q-20). Raises IndexUnavailable, and UpstreamFailed for a document without Study
    Instance UID.
    """
    if not document.study_uid:
        raise UpstreamFailed(f"the metadata of image set {document.image_set_id} names no study")
    updated = naive_utc(updated_at)
    return retried(
        engine, lambda connection: _index(connection, document, version, is_primary, updated, zone)
    )


def remove_image_set(engine: Engine, datastore_id: str, image_set_id: str) -> list[ImageSetRef]:
    """Take an image set out of the index; the image sets to index again, because they may take its place.

    Unknown image sets are no error. Raises IndexUnavailable.
    """
    return retried(engine, lambda connection: _remove(connection, datastore_id, image_set_id))


def _index(
    connection: Connection,
    document: ImageSetDocument,
    version: int,
    is_primary: bool | None,
    updated_at: datetime | None,
    zone: tzinfo,
) -> IndexedImageSet:
    known = _locked_set(connection, document.datastore_id, document.image_set_id, document.study_uid)
    if known is not None and known.version > version:
        return IndexedImageSet(known.ref, known.study_uid, False, 0, 0, ())
    reindex: list[ImageSetRef] = []
    if known is not None and known.study_uid != document.study_uid:
        reindex += _remove(connection, document.datastore_id, document.image_set_id)
        known = None
    values = {
        "datastoreid": document.datastore_id,
        "imagesetid": document.image_set_id,
        "version": version,
        "is_primary": is_primary if is_primary is not None or known is None else known.is_primary,
        "updated_at": updated_at if updated_at is not None or known is None else known.updated_at,
        "state": side.ACTIVE,
        "study_uid": document.study_uid,
    }
    key = put_set(connection, known, values)
    put_links(connection, key, list(document.raw_series))
    before = side_writer.forget(connection, key)
    aws_writer.forget_instances(connection, document.datastore_id, document.image_set_id)
    own, after, apart = _write(connection, document, key, zone)
    tombstones.bury(connection, own.study_uid, before - after)
    note_instances(connection, (uid for _, uid in before - after))
    ledger.forget_failure(connection, document.datastore_id, document.image_set_id)
    left = None if known is None or known.study_key == own.study_key else known.study_key
    weaker = known is not None and own.rank < known.rank
    if left is not None or weaker or before - after:
        reindex += _heirs(connection, own, left)
    if known is not None and known.version < version:
        # what it said until now may be why they are apart
        reindex += apart
    return IndexedImageSet(
        own.ref, own.study_uid, True, len(document.raw_series), len(after), tuple(dict.fromkeys(reindex))
    )


def _locked_set(
    connection: Connection, datastore_id: str, image_set_id: str, *study_uids: str
) -> StoredSet | None:
    """The stored image set, with its study and `study_uids` locked against other indexers."""
    known = find_set(connection, datastore_id, image_set_id)
    lock_studies(connection, [*study_uids, *([known.study_uid] if known else [])])
    return find_set(connection, datastore_id, image_set_id)


def _write(
    connection: Connection, document: ImageSetDocument, key: int, zone: tzinfo
) -> tuple[StoredSet, side_writer.Held, list[ImageSetRef]]:
    """The image set as it now stands, the instances that it gives, and who tells otherwise of its series."""
    sets = sets_of_study(connection, document.study_uid)
    links = links_of_study(connection, document.study_uid)
    writer = side_writer.Writer(connection, sets[key], sets, links, zone)
    study_key = writer.put_study(document)
    sets[key] = own = sets[key]._replace(study_key=study_key)
    put_set(connection, own, {"study_key": study_key})
    series_keys = {series.series_uid: writer.put_series(study_key, series) for series in document.series()}
    mains.drop_orphans(connection, own.study_uid, sets, links)
    mains.mark_mains(connection, own.study_uid, sets, links)
    aws = aws_writer.AwsWriter(connection, own)
    study_pkey = aws.put_study(document)
    imageset_pkey: int | None = None
    held: side_writer.Held = set()
    for series in document.series():
        series_pkey = aws.put_series(study_pkey, series)
        imageset_pkey = imageset_pkey or aws.put_image_set(series_pkey)
        claim = writer.claim(series_keys[series.series_uid], series)
        for uids in portions(claim.given):
            instances = [series.instance(uid) for uid in uids]
            writer.put_instances(series_keys[series.series_uid], instances)
            foremost = [one for one in instances if one.instance_uid not in claim.behind]
            aws.put_instances(series_pkey, imageset_pkey, foremost)
            held.update((series.series_uid, uid) for uid in uids)
    aws_writer.settle(connection, own.study_uid, mains.count(connection, own.study_uid))
    return own, held, _told_apart(own, sets, links)


def _told_apart(own: StoredSet, sets: Mapping[int, StoredSet], links: Links) -> list[ImageSetRef]:
    """The image sets of other variants in the same data store that share a series with `own`."""
    series = {uid for key, uid in links if key == own.imageset_key}
    sharing = {key for key, uid in links if uid in series}
    others = (one for key, one in sets.items() if key in sharing and one.study_key != own.study_key)
    return [one.ref for one in others if one.datastoreid == own.datastoreid]


def _remove(connection: Connection, datastore_id: str, image_set_id: str) -> list[ImageSetRef]:
    own = _locked_set(connection, datastore_id, image_set_id)
    ledger.forget_failure(connection, datastore_id, image_set_id)
    if own is None:
        aws_writer.forget_unknown(connection, datastore_id, image_set_id)
        return []
    heirs = _heirs(connection, own, own.study_key)
    lost = side_writer.forget(connection, own.imageset_key)
    tombstones.bury(connection, own.study_uid, lost)
    aws_writer.forget_image_set(connection, datastore_id, image_set_id)
    table = side.gateway_imageset
    connection.execute(delete(table).where(table.c.imageset_key == own.imageset_key))
    sets = sets_of_study(connection, own.study_uid)
    links = links_of_study(connection, own.study_uid)
    mains.drop_orphans(connection, own.study_uid, sets, links)
    mains.mark_mains(connection, own.study_uid, sets, links)
    aws_writer.settle(connection, own.study_uid, mains.count(connection, own.study_uid))
    note_instances(connection, (uid for _, uid in lost))
    return heirs


def _heirs(connection: Connection, own: StoredSet, left: int | None) -> list[ImageSetRef]:
    """Image sets that share a series with `own`, and the best of the study and of variant `left`, best first.

    `left`: where it is no longer, so that another is to give and say there what it gave and said.
    """
    sets = sets_of_study(connection, own.study_uid)
    del sets[own.imageset_key]
    links = links_of_study(connection, own.study_uid)
    series = {uid for key, uid in links if key == own.imageset_key}
    heirs = {key for key, uid in links if uid in series and key in sets}
    ranked = sorted(sets.values(), key=lambda one: one.rank, reverse=True)
    heirs.update(one.imageset_key for one in ranked[:1])
    heirs.update([one.imageset_key for one in ranked if one.study_key == left][:1])
    return [one.ref for one in ranked if one.imageset_key in heirs]
