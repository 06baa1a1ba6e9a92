"""Image sets as HealthImaging has them now: the AWS tables note no versions, and not which are primary."""

from datetime import datetime
from functools import partial
from typing import NamedTuple, NoReturn, Protocol

from dicomweb_gateway.errors import UpstreamDenied, UpstreamError, UpstreamNotFound
from dicomweb_gateway.imagesets.metadata import ImageSetDocument
from dicomweb_gateway.imagesets.store import ImageSetProperties, ImageSetRef
from dicomweb_gateway.index.gone import GoneSets
from dicomweb_gateway.index.hot import HotMap
from dicomweb_gateway.index.image_set_rows import naive_utc

KEPT_SETS = 10_000
"""Image sets whose properties are kept."""

_OUTAGE_SECONDS = 24 * 3600.0
"""How long the last known version of an image set is served while HealthImaging does not answer."""

_DELETED = "DELETED"


class ImageSetSource(Protocol):
    """What is asked of HealthImaging; both raise the UpstreamError that fits."""

    def properties(self, ref: ImageSetRef) -> ImageSetProperties:
        """The latest version of an image set, whether it is primary, when it changed."""
        ...

    def document(self, ref: ImageSetRef) -> ImageSetDocument:
        """Its metadata document."""
        ...


class Found(NamedTuple):
    """An image set as HealthImaging has it now; the larger rank wins (dicomweb.md Q-52).

    `rank`: whether it is primary, and when it changed (naive UTC, `datetime.min` where that is unknown).
    """

    ref: ImageSetRef
    rank: tuple[bool, datetime]


class LatestSets:
    """Asks `source`; what it told of versions and deletions is believed for `seconds`.

    Those in `gone` are left out. UpstreamError comes through.
    """

    def __init__(self, source: ImageSetSource, seconds: float, gone: GoneSets) -> None:
        self._source = source
        self._gone = gone
        self._sets: HotMap[Found | None] = HotMap(seconds, KEPT_SETS, lambda _: 1)
        self._known: HotMap[Found | None] = HotMap(_OUTAGE_SECONDS, KEPT_SETS, lambda _: 1)

    def find(self, ref: ImageSetRef) -> Found | None:
        """The image set at its latest version, None where HealthImaging does not have it."""
        return self._sets.get(ref, lambda: self._look(ref))

    def ranked(self, refs: list[ImageSetRef]) -> list[Found]:
        """Those of `refs` that HealthImaging has, the best first."""
        found = [one for one in map(self.find, refs) if one is not None and one.ref not in self._gone]
        return sorted(found, key=lambda one: one.rank, reverse=True)

    def document(self, ref: ImageSetRef) -> ImageSetDocument:
        """The metadata document of an image set, whatever it shows; UpstreamNotFound where it is gone."""
        return self._source.document(ref)

    def _look(self, ref: ImageSetRef) -> Found | None:
        """The image set as it is now; while HealthImaging is down as it was, if that is known."""
        try:
            found = self._ask(ref)
        except UpstreamError as error:
            return self._known.get(ref, partial(_raise, error))
        self._known.add({ref: found})
        return found

    def _ask(self, ref: ImageSetRef) -> Found | None:
        """The image set as it is now, None when it is gone; without the right to ask, its latest version."""
        try:
            found = self._source.properties(ref)
        except UpstreamNotFound:
            return None
        except UpstreamDenied:
            return Found(ref, (False, datetime.min))
        if found.state == _DELETED:
            return None
        return Found(found.ref, (bool(found.is_primary), naive_utc(found.updated_at) or datetime.min))


def _raise(error: Exception) -> NoReturn:
    raise error
