"""Whose UIDs already are, as the index knows it: what is stored must not become part of another patient."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Engine, Select, and_, exists, select

from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.aws_image_sets import sets_of_studies, unknown_sets
from dicomweb_gateway.index.chunks import portions
from dicomweb_gateway.index.column_values import columns
from dicomweb_gateway.index.engine import reading
from dicomweb_gateway.index.image_set_rows import StoredSet
from dicomweb_gateway.index.series_traits import TRAIT_COLUMNS
from dicomweb_gateway.index.traits import traits_of_columns
from dicomweb_gateway.sight import EVERYTHING, Sight

_STUDY, _SERIES, _INSTANCE, _SET = (
    side.gateway_study,
    side.gateway_series,
    side.gateway_instance,
    side.gateway_imageset,
)
_LINK = side.gateway_imageset_series
Patient = tuple[str, str]
"""PatientID and its issuer, "" where there is none."""

Path = tuple[str, str, str]
"""UIDs of a study, a series and an instance."""

Grouping = tuple[Any, ...]
"""What HealthImaging groups by beside patient and UIDs, as the index holds it (healthimaging.md 2.5)."""

STUDY_GROUPING = ("StudyDate", "AccessionNumber", "StudyID")
SERIES_GROUPING = ("SeriesNumber",)
_GROUPING = (
    *(_STUDY.c[name.lower()] for name in STUDY_GROUPING),
    *(_SERIES.c[name.lower()] for name in SERIES_GROUPING),
)


class Held(NamedTuple):
    """An instance that is there: the UID of its series, and what its image set is grouped by."""

    series_uid: str
    grouping: Grouping


class Place(NamedTuple):
    """The image set that an instance comes from, and its version."""

    image_set_id: str
    version: int


def grouping_of(values: Mapping[str, str]) -> Grouping:
    """The same of the values of a file by their keywords."""
    study = columns(side.gateway_study, STUDY_GROUPING, values)
    return (*study.values(), *columns(side.gateway_series, SERIES_GROUPING, values).values())


class IndexOwners:
    """Lookups in one data store of what a sight shows there; IndexUnavailable."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def patients(
        self, datastore_id: str, study_uids: Iterable[str], sight: Sight = EVERYTHING
    ) -> dict[str, set[Patient]]:
        """By study the patients that its image sets name."""
        found: dict[str, set[Patient]] = {}
        chosen = (_STUDY.c.study_uid, _STUDY.c.patientid, _STUDY.c.issuerofpatientid)
        for row in self._series(datastore_id, _SERIES.c.study_uid, study_uids, sight, chosen):
            patient = (row.patientid or "", row.issuerofpatientid or "")
            found.setdefault(row.study_uid, set()).add(patient)
        return found

    def studies(
        self, datastore_id: str, series_uids: Iterable[str], sight: Sight = EVERYTHING
    ) -> dict[str, set[str]]:
        """By series the studies that it is of."""
        found: dict[str, set[str]] = {}
        chosen = (_SERIES.c.series_uid, _SERIES.c.study_uid)
        for row in self._series(datastore_id, _SERIES.c.series_uid, series_uids, sight, chosen):
            found.setdefault(row.series_uid, set()).add(row.study_uid)
        return found

    def hidden(
        self, datastore_id: str, series_uids: Iterable[str], sight: Sight
    ) -> set[tuple[str, str, str]]:
        """Those of some series that `sight` does not show: UIDs of study and series, and the PatientID."""
        chosen = (_SERIES.c.study_uid, _SERIES.c.series_uid, _STUDY.c.patientid)
        if sight.shows_all_of(datastore_id):
            return set()
        rows = self._series(datastore_id, _SERIES.c.series_uid, series_uids, sight, chosen, shown=False)
        return {(row.study_uid, row.series_uid, row.patientid or "") for row in rows}

    def held(
        self, datastore_id: str, instance_uids: Iterable[str], sight: Sight = EVERYTHING
    ) -> dict[str, set[Held]]:
        """By instance where it is."""
        found: dict[str, set[Held]] = {}
        for row in self._instances(datastore_id, instance_uids, sight, _GROUPING):
            held = Held(row.series_uid, tuple(row[: len(_GROUPING)]))
            found.setdefault(row.instance_uid, set()).add(held)
        return found

    def given(
        self, datastore_id: str, paths: Collection[Path], sight: Sight = EVERYTHING
    ) -> dict[Path, Place]:
        """By path what an instance comes from: the best of its image sets that are shown (Q-52)."""
        wanted = set(paths)
        best: dict[Path, StoredSet] = {}
        chosen = tuple(_SET.c[name] for name in StoredSet._fields)
        for row in self._instances(datastore_id, {path[2] for path in wanted}, sight, chosen):
            path = (row.study_uid, row.series_uid, row.instance_uid)
            one = StoredSet(*row[: len(chosen)])
            if path in wanted and (path not in best or one.rank > best[path].rank):
                best[path] = one
        return {path: Place(one.imagesetid, one.version) for path, one in best.items()}

    def versions(self, datastore_id: str, study_uids: Iterable[str]) -> dict[tuple[str, str], dict[str, int]]:
        """By the UIDs of a study and a series the image sets that hold it, and their versions."""
        found: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
        query = select(_SET.c.study_uid, _LINK.c.series_uid, _SET.c.imagesetid, _SET.c.version)
        query = query.join(_LINK, _LINK.c.imageset_key == _SET.c.imageset_key)
        query = query.where(_SET.c.datastoreid == datastore_id, _SET.c.state == side.ACTIVE)
        for row in self._rows(query, _SET.c.study_uid, study_uids):
            found[row.study_uid, row.series_uid][row.imagesetid] = row.version
        return dict(found)

    def missing(self, datastore_id: str, instance_uids: Collection[str]) -> set[str]:
        """Those of some instances that the index does not hold."""
        return set(instance_uids) - {
            row.instance_uid for row in self._instances(datastore_id, instance_uids, EVERYTHING, ())
        }

    def unread(self, datastore_id: str, study_uids: Collection[str]) -> set[str]:
        """Those of some studies of which the AWS Lambda noted image sets that our tables do not know."""
        found: set[str] = set()
        stores = frozenset((datastore_id,))
        with reading(self._engine) as connection:
            for some in portions(study_uids):
                if not unknown_sets(connection, sets_of_studies(connection, some, stores)):
                    continue
                for uid in some:
                    if unknown_sets(connection, sets_of_studies(connection, [uid], stores)):
                        found.add(uid)
        return found

    def _series(
        self,
        datastore_id: str,
        uid: ColumnElement[str],
        uids: Iterable[str],
        sight: Sight,
        chosen: tuple[ColumnElement[Any], ...],
        shown: bool = True,
    ) -> Iterator[Any]:
        """`chosen` of series that an image set of the data store gives, and that are shown or are not."""
        # by the UID too, which has an index
        own = and_(_SET.c.study_uid == _SERIES.c.study_uid, _SET.c.study_key == _SERIES.c.study_key)
        there = exists().where(own, _SET.c.datastoreid == datastore_id, _SET.c.state == side.ACTIVE)
        query = select(*chosen, *TRAIT_COLUMNS).select_from(_SERIES).join(_STUDY).where(there)
        for row in self._rows(query, uid, uids):
            if sight.shows(datastore_id, traits_of_columns(row[len(chosen) :])) is shown:
                yield row

    def _instances(
        self,
        datastore_id: str,
        instance_uids: Iterable[str],
        sight: Sight,
        chosen: tuple[ColumnElement[Any], ...],
    ) -> Iterator[Any]:
        """`chosen`, and then the path, of instances of the data store that are shown."""
        path = (_SERIES.c.study_uid, _SERIES.c.series_uid, _INSTANCE.c.instance_uid)
        traits = () if sight.shows_all_of(datastore_id) else TRAIT_COLUMNS
        names = [one for one in path if one.name not in {other.name for other in chosen}]
        query = (
            select(*chosen, *names, *traits)
            .select_from(_INSTANCE)
            .join(_SERIES, _SERIES.c.series_key == _INSTANCE.c.series_key)
            .join(_STUDY, _STUDY.c.study_key == _SERIES.c.study_key)
            .join(_SET, _SET.c.imageset_key == _INSTANCE.c.imageset_key)
            .where(_SET.c.datastoreid == datastore_id, _SET.c.state == side.ACTIVE)
        )
        start = len(chosen) + len(names)
        for row in self._rows(query, _INSTANCE.c.instance_uid, instance_uids):
            if not traits or sight.shows(datastore_id, traits_of_columns(row[start:])):
                yield row

    def _rows(self, query: Select[Any], uid: ColumnElement[str], uids: Iterable[str]) -> Iterator[Any]:
        """The rows of `query` with one of `uids`, by no more of them at a time than a statement takes."""
        with reading(self._engine) as connection:
            for some in portions(uids):
                yield from connection.execute(query.where(uid.in_(some)))
