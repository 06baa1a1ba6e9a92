"""Refuses instances whose UIDs are those of something else: of another patient, study or series.

Only what the caller may retrieve clashes: a refusal tells that something is there. What clashes with hidden
things alone HealthImaging files as an image set of its own, because what it groups by differs, and the index
keeps it apart (index/variants.py). One thing it would not: where study, series and PatientID are the same, it
goes into the hidden image set itself, in the place of what is there. That is refused as whatever else the
caller may not store.
"""

from collections.abc import Collection, Sequence
from typing import Protocol

from dicomweb_gateway.dicom.store_response import CLASH, NOT_AUTHORIZED
from dicomweb_gateway.index.owners import Held, Patient, Place
from dicomweb_gateway.qido.texts import searchable
from dicomweb_gateway.sight import EVERYTHING, Sight
from dicomweb_gateway.stow.checking import Instance, RefusedPart

Path = tuple[str, str, str]


class Owners(Protocol):
    """Whose UIDs are already in a data store, as far as a sight shows; see `index.owners.IndexOwners`."""

    def patients(
        self, datastore_id: str, study_uids: Collection[str], sight: Sight = EVERYTHING
    ) -> dict[str, set[Patient]]:
        """By study."""
        ...

    def studies(
        self, datastore_id: str, series_uids: Collection[str], sight: Sight = EVERYTHING
    ) -> dict[str, set[str]]:
        """By series."""
        ...

    def held(
        self, datastore_id: str, instance_uids: Collection[str], sight: Sight = EVERYTHING
    ) -> dict[str, set[Held]]:
        """By instance."""
        ...

    def hidden(
        self, datastore_id: str, series_uids: Collection[str], sight: Sight
    ) -> set[tuple[str, str, str]]:
        """UIDs of study and series, and the PatientID, of series that are not shown."""
        ...

    def given(
        self, datastore_id: str, paths: Collection[Path], sight: Sight = EVERYTHING
    ) -> dict[Path, Place]:
        """By the path of an instance where it comes from."""
        ...

    def unread(self, datastore_id: str, study_uids: Collection[str]) -> set[str]:
        """Studies of which the index has noted image sets that it has not read."""
        ...

    def versions(
        self, datastore_id: str, study_uids: Collection[str]
    ) -> dict[tuple[str, str], dict[str, int]]:
        """By study and series the image sets that hold it, and their versions."""
        ...


class Claims:
    """Whose the UIDs of one request are: as the data store has it, else as the first part says.

    `seen` is what the caller may retrieve, `reach` what they may retrieve or store.
    """

    def __init__(
        self, owners: Owners, datastore_id: str, instances: Sequence[Instance], seen: Sight, reach: Sight
    ) -> None:
        series_uids = sorted({one.series_uid for one in instances})
        self._patients = owners.patients(datastore_id, sorted({one.study_uid for one in instances}), seen)
        self._studies = owners.studies(datastore_id, series_uids, seen)
        self._held = owners.held(datastore_id, sorted({one.instance_uid for one in instances}), seen)
        self._hidden = owners.hidden(datastore_id, series_uids, reach)

    def claim(self, instance: Instance) -> None:
        """Note what `instance` says of its UIDs; RefusedPart when that contradicts what is known."""
        names = (instance.class_uid, instance.instance_uid)
        patient = _stored(instance.patient)
        if (instance.study_uid, instance.series_uid, patient[0]) in self._hidden:
            raise RefusedPart(NOT_AUTHORIZED, "not allowed", *names)
        patients = self._patients.setdefault(instance.study_uid, {patient})
        if not any(_is_same(patient, one) for one in patients):
            raise RefusedPart(CLASH, "its study is that of another patient", *names)
        studies = self._studies.setdefault(instance.series_uid, {instance.study_uid})
        if instance.study_uid not in studies:
            raise RefusedPart(CLASH, "its series is that of another study", *names)
        own = Held(instance.series_uid, instance.grouping)
        held = self._held.setdefault(instance.instance_uid, {own})
        same = {one for one in held if one.series_uid == instance.series_uid}
        if not same:
            raise RefusedPart(CLASH, "its SOP Instance UID is that of another series", *names)
        if own not in same:
            # HealthImaging would file it apart, and what was there before would go on being shown
            reason = "it is there with another date, accession, study id or number"
            raise RefusedPart(CLASH, reason, *names)


def _stored(patient: Patient) -> Patient:
    """As the index holds it."""
    return searchable(patient[0]), searchable(patient[1])


def _is_same(one: Patient, other: Patient) -> bool:
    """Whether two are one patient: the issuer counts where both name it."""
    return one[0] == other[0] and (one[1] == other[1] or not one[1] or not other[1])
