"""UpdateImageSetMetadata: attributes of an image set's patient, study and series (healthimaging.md 4.4)."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import orjson

from dicomweb_gateway.imagesets.store import ImageSetRef

OPERATION = "UpdateImageSetMetadata"
LOCKED = "LOCKED"
_SCHEMA = 1.1

Attributes = Mapping[str, str | int | float | None]
"""By keyword what an attribute is to be; None: it is to go."""


@dataclass(frozen=True, slots=True)
class Edit:
    """What is to become of version `latest_version`, which must be the latest, by level.

    `whole_study`: all image sets of the study get what is changed of it; only the study is changed then.
    `force`: StudyID may be among it. `revert_to`: an earlier version, which becomes the latest again, and
    nothing else is changed; "" for none.
    """

    latest_version: str
    patient: Attributes = field(default_factory=dict)
    study: Attributes = field(default_factory=dict)
    series: Mapping[str, Attributes] = field(default_factory=dict)
    whole_study: bool = False
    force: bool = False
    revert_to: str = ""

    @property
    def keywords(self) -> frozenset[str]:
        """All attributes that are touched."""
        return frozenset().union(self.patient, self.study, *self.series.values())

    @property
    def is_study_only(self) -> bool:
        """Whether nothing of the patient and of series is touched."""
        return not self.patient and not self.series

    def updates(self) -> dict[str, Any]:
        """The union that the request's body holds."""
        if self.revert_to:
            return {"revertToVersionId": self.revert_to}
        return {"DICOMUpdates": self.blobs()}

    def blobs(self) -> dict[str, bytes]:
        """The members of DICOMUpdates: what is put, and what goes, each in the shape of the document."""
        put = self._tree(lambda value: value is not None, lambda value: value)
        removed = self._tree(lambda value: value is None, lambda value: "")
        found = {"updatableAttributes": put, "removableAttributes": removed}
        return {
            name: orjson.dumps({"SchemaVersion": _SCHEMA, **tree}) for name, tree in found.items() if tree
        }

    def _tree(self, wanted: Callable[[Any], bool], shown: Callable[[Any], Any]) -> dict[str, Any]:
        def level(attributes: Attributes) -> dict[str, Any]:
            told = {name: shown(value) for name, value in attributes.items() if wanted(value)}
            return {"DICOM": told} if told else {}

        series = {uid: told for uid, one in self.series.items() if (told := level(one))}
        study = {**level(self.study), **({"Series": series} if series else {})}
        patient = level(self.patient)
        return {**({"Patient": patient} if patient else {}), **({"Study": study} if study else {})}


@dataclass(frozen=True, slots=True)
class SetState:
    """How an image set stands: `state` is ACTIVE, LOCKED or DELETED, `status` that of the last work on it."""

    version: str
    state: str
    status: str
    is_primary: bool


class ImageSetUpdates:
    """The calls around an edit; each raises the UpstreamError that fits. `asking` gives the SDK's client."""

    def __init__(self, asking: Callable[[str], AbstractContextManager[Any]]) -> None:
        self._asking = asking

    def look(self, ref: ImageSetRef) -> SetState:
        """The image set as it now stands."""
        with self._asking("GetImageSet") as api:
            found = api.get_image_set(datastoreId=ref.datastore_id, imageSetId=ref.image_set_id)
        return SetState(
            str(found.get("versionId") or ""),
            str(found.get("imageSetState") or ""),
            str(found.get("imageSetWorkflowStatus") or ""),
            bool(found.get("isPrimary")),
        )

    def update(self, ref: ImageSetRef, edit: Edit) -> str:
        """Have HealthImaging begin the edit; the version that comes of it."""
        flags = {"includeStudyImageSets": edit.whole_study, "force": edit.force}
        with self._asking(OPERATION) as api:
            answer = api.update_image_set_metadata(
                datastoreId=ref.datastore_id,
                imageSetId=ref.image_set_id,
                latestVersionId=edit.latest_version,
                updateImageSetMetadataUpdates=edit.updates(),
                **{name: True for name, given in flags.items() if given},
            )
        return str(answer["latestVersionId"])
