"""Refuses instances whose UIDs are those of something else: of another patient, study or series."""

from collections.abc import Sequence
from typing import Protocol

from dicomweb_gateway.dicom.store_response import CLASH
from dicomweb_gateway.index.owners import Patient
from dicomweb_gateway.qido.texts import searchable
from dicomweb_gateway.stow.checking import Instance, RefusedPart


class Owners(Protocol):
    """Whose UIDs are already in a data store; see `index.owners.IndexOwners`."""

    def patients(self, datastore_id: str, study_uids: list[str]) -> dict[str, set[Patient]]:
        """By study."""
        ...

    def studies(self, datastore_id: str, series_uids: list[str]) -> dict[str, set[str]]:
        """By series."""
        ...

    def series(self, datastore_id: str, instance_uids: list[str]) -> dict[str, set[str]]:
        """By instance."""
        ...


class Claims:
    """Whose the UIDs of one request are: as the data store has it, else as the first part says."""

    def __init__(self, owners: Owners, datastore_id: str, instances: Sequence[Instance]) -> None:
        self._patients = owners.patients(datastore_id, sorted({one.study_uid for one in instances}))
        self._studies = owners.studies(datastore_id, sorted({one.series_uid for one in instances}))
        self._series = owners.series(datastore_id, sorted({one.instance_uid for one in instances}))

    def claim(self, instance: Instance) -> None:
        """Note what `instance` says of its UIDs; RefusedPart when that contradicts what is known."""
        names = (instance.class_uid, instance.instance_uid)
        patient = _stored(instance.patient)
        patients = self._patients.setdefault(instance.study_uid, {patient})
        if not any(_is_same(patient, one) for one in patients):
            raise RefusedPart(CLASH, "its study is that of another patient", *names)
        studies = self._studies.setdefault(instance.series_uid, {instance.study_uid})
        if instance.study_uid not in studies:
            raise RefusedPart(CLASH, "its series is that of another study", *names)
        series = self._series.setdefault(instance.instance_uid, {instance.series_uid})
        if instance.series_uid not in series:
            raise RefusedPart(CLASH, "its SOP Instance UID is that of another series", *names)


def _stored(patient: Patient) -> Patient:
    """As the index holds it."""
    return searchable(patient[0]), searchable(patient[1])


def _is_same(one: Patient, other: Patient) -> bool:
    """Whether two are one patient: the issuer counts where both name it."""
    return one[0] == other[0] and (one[1] == other[1] or not one[1] or not other[1])
