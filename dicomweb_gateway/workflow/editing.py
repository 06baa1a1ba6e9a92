"""Edits of attributes: checked, made by HealthImaging, waited for, and in the index when it is told."""

import time
from collections.abc import Callable, Collection
from typing import Protocol

from dicomweb_gateway.errors import (
    EditConflict,
    InvalidRequest,
    UpstreamBusy,
    UpstreamFailed,
    UpstreamInvalid,
)
from dicomweb_gateway.imagesets.editing import LOCKED, Edit, SetState
from dicomweb_gateway.imagesets.store import ImageSetRef

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0
_UPDATE_FAILED = "UPDATE_FAILED"


class Upstream(Protocol):
    """See `imagesets.editing.ImageSetUpdates`."""

    def look(self, ref: ImageSetRef) -> SetState:
        """The image set as it now stands."""
        ...

    def update(self, ref: ImageSetRef, edit: Edit) -> str:
        """Begin the edit; the version that comes of it."""
        ...


class Synchroniser(Protocol):
    """Indexes image sets; see `workflow.sync.Synchroniser`."""

    def image_set(self, ref: ImageSetRef) -> int:
        """One image set as it stands."""
        ...


class Editing:
    """Makes edits. `changed` is called when the index has changed."""

    def __init__(
        self, upstream: Upstream, synchroniser: Callable[[], Synchroniser], changed: Callable[[], None]
    ) -> None:
        self._upstream = upstream
        self._synchroniser = synchroniser
        self._changed = changed

    def apply(self, ref: ImageSetRef, edit: Edit, others: Collection[ImageSetRef], deadline: float) -> str:
        """The version that came of the edit; the index and all that is remembered of it hold that.

        `others` are the other image sets of the study, where the edit is for all. EditConflict where the
        version is no longer the latest or somebody else works on the image set, InvalidRequest for what
        HealthImaging refuses, UpstreamBusy where it has not come to an end by `deadline` (time.monotonic).
        """
        self._check(ref, edit)
        due = {one: self._upstream.look(one).version for one in others}
        due[ref] = edit.latest_version
        try:
            version = self._upstream.update(ref, edit)
        except UpstreamBusy as error:
            raise EditConflict("HealthImaging says that something else changes the image set") from error
        except UpstreamInvalid as error:
            raise InvalidRequest("HealthImaging refuses to make this change") from error
        try:
            for one, before in due.items():
                self._wait(one, before, deadline)
                self._synchroniser().image_set(one)
        finally:
            self._changed()
        return version

    def _check(self, ref: ImageSetRef, edit: Edit) -> None:
        """Refuse with a reason what HealthImaging would refuse without one that may be told."""
        found = self._upstream.look(ref)
        if found.version != edit.latest_version:
            raise EditConflict(
                f"version {edit.latest_version} is not the latest: that is {found.version or 'unknown'}"
            )
        if found.state == LOCKED:
            raise EditConflict("HealthImaging is at work on the image set")
        if found.is_primary and not edit.is_study_only:
            raise InvalidRequest(
                "the image set is primary: HealthImaging lets only attributes of its study be changed"
            )

    def _wait(self, ref: ImageSetRef, before: str, deadline: float) -> None:
        """Until HealthImaging has made another version than `before` of it."""
        pause = _FIRST_PAUSE
        while True:
            found = self._upstream.look(ref)
            if found.state != LOCKED:
                if found.status == _UPDATE_FAILED:
                    raise UpstreamFailed("HealthImaging took the change and then could not make it")
                if found.version != before:
                    return
            if time.monotonic() + pause >= deadline:
                raise UpstreamBusy("HealthImaging took the change, but has not made it yet: look again")
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
