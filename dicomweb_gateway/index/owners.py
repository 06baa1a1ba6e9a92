"""Whose UIDs already are, as the index knows it: what is stored must not become part of another patient."""

from collections.abc import Collection, Iterable

from sqlalchemy import Engine, select

from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.chunks import portions
from dicomweb_gateway.index.engine import reading

_STUDY, _SERIES, _INSTANCE, _SET = (
    side.gateway_study,
    side.gateway_series,
    side.gateway_instance,
    side.gateway_imageset,
)
Patient = tuple[str, str]
"""PatientID and its issuer, "" where there is none."""


class IndexOwners:
    """Lookups in one data store, whatever a caller may see of it; IndexUnavailable.

    They decide what is refused, and nothing that they find is shown.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def patients(self, datastore_id: str, study_uids: Iterable[str]) -> dict[str, set[Patient]]:
        """By study the patients that its image sets name."""
        found: dict[str, set[Patient]] = {}
        query = (
            select(_STUDY.c.study_uid, _STUDY.c.patientid, _STUDY.c.issuerofpatientid)
            .select_from(_STUDY)
            .join(_SET, _SET.c.study_key == _STUDY.c.study_key)
            .where(_SET.c.datastoreid == datastore_id, _SET.c.state == side.ACTIVE)
            .distinct()
        )
        with reading(self._engine) as connection:
            for some in portions(study_uids):
                for row in connection.execute(query.where(_STUDY.c.study_uid.in_(some))):
                    patient = (row.patientid or "", row.issuerofpatientid or "")
                    found.setdefault(row.study_uid, set()).add(patient)
        return found

    def studies(self, datastore_id: str, series_uids: Iterable[str]) -> dict[str, set[str]]:
        """By series the studies that it is of."""
        found: dict[str, set[str]] = {}
        query = (
            select(_SERIES.c.series_uid, _SERIES.c.study_uid)
            .select_from(_SERIES)
            .join(_SET, _SET.c.study_key == _SERIES.c.study_key)
            .where(_SET.c.datastoreid == datastore_id, _SET.c.state == side.ACTIVE)
            .distinct()
        )
        with reading(self._engine) as connection:
            for some in portions(series_uids):
                for row in connection.execute(query.where(_SERIES.c.series_uid.in_(some))):
                    found.setdefault(row.series_uid, set()).add(row.study_uid)
        return found

    def series(self, datastore_id: str, instance_uids: Iterable[str]) -> dict[str, set[str]]:
        """By instance the series that it is of."""
        found: dict[str, set[str]] = {}
        query = (
            select(_INSTANCE.c.instance_uid, _SERIES.c.series_uid)
            .select_from(_INSTANCE)
            .join(_SERIES, _SERIES.c.series_key == _INSTANCE.c.series_key)
            .join(_SET, _SET.c.imageset_key == _INSTANCE.c.imageset_key)
            .where(_SET.c.datastoreid == datastore_id, _SET.c.state == side.ACTIVE)
        )
        with reading(self._engine) as connection:
            for some in portions(instance_uids):
                for row in connection.execute(query.where(_INSTANCE.c.instance_uid.in_(some))):
                    found.setdefault(row.instance_uid, set()).add(row.series_uid)
        return found

    def missing(self, datastore_id: str, instance_uids: Collection[str]) -> set[str]:
        """Those of some instances that the index does not hold."""
        return set(instance_uids) - self.series(datastore_id, instance_uids).keys()
