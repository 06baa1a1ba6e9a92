"""Whether what was just stored is what is shown now, before anybody is told that it is (dicomweb.md S-1)."""

from collections.abc import Mapping, Sequence

from dicomweb_gateway.index.owners import Place
from dicomweb_gateway.sight import EVERYTHING, Sight
from dicomweb_gateway.stow.checking import Instance
from dicomweb_gateway.stow.clashes import Owners, Path


class Showing:
    """What the index gives of `instances` before they are stored.

    Those `in_sight` of the caller are to be shown to `seen`, which is what they may retrieve; the others are
    to be in the index.
    """

    def __init__(
        self,
        owners: Owners,
        datastore_id: str,
        instances: Sequence[Instance],
        in_sight: set[str],
        seen: Sight,
    ) -> None:
        self._owners = owners
        self._datastore_id = datastore_id
        self._seen = seen
        self._parts = [
            ([_path(one) for one in instances if one.instance_uid in in_sight], seen),
            ([_path(one) for one in instances if one.instance_uid not in in_sight], EVERYTHING),
        ]
        self._studies = sorted({one.study_uid for one in instances})
        self._before = self._given()
        self._versions = owners.versions(datastore_id, self._studies)

    def as_before(self) -> set[str]:
        """Ids of the image sets that instances come from as before: they may be listed late."""
        after = self._given()
        return {place.image_set_id for path, place in after.items() if place == self._before.get(path)}

    def lost(self) -> set[str]:
        """UIDs of the instances that, after storing and indexing, are not shown as they were sent.

        They come from an image set as it was before, while another one of their series has changed: what
        HealthImaging files apart does not show where the same UID is there already. Where none has changed
        it found nothing new in what it was sent. Who may not retrieve an instance is not told what goes
        before it.
        """
        after, now = self._given(), self._owners.versions(self._datastore_id, self._studies)
        lost: set[str] = set()
        for paths, sight in self._parts:
            for path in paths:
                place = after.get(path)
                is_as_before = place is not None and place == self._before.get(path)
                changed = now.get(path[:2]) != self._versions.get(path[:2])
                if place is None or (sight is self._seen and is_as_before and changed):
                    lost.add(path[2])
        return lost

    def _given(self) -> Mapping[Path, Place]:
        found: dict[Path, Place] = {}
        for paths, sight in self._parts:
            if paths:
                found.update(self._owners.given(self._datastore_id, paths, sight))
        return found


def _path(one: Instance) -> Path:
    return one.study_uid, one.series_uid, one.instance_uid
