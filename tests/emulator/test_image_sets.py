"""Looking up image sets while they are deleted (healthimaging.md 4.5)."""

from typing import Any, cast

import pytest

from dicomweb_gateway.emulator.errors import NotFound
from dicomweb_gateway.emulator.image_sets import ACTIVE, DELETED, look_up
from dicomweb_gateway.emulator.storage import Storage


class Rows:
    """A store whose catalogue gives these rows, one a question."""

    def __init__(self, *rows: dict[str, Any] | None) -> None:
        self._rows = iter(rows)
        self.catalogue = self

    def one(self, _statement: str, _values: object) -> dict[str, Any] | None:
        return next(self._rows)


def image_set(state: str) -> dict[str, Any]:
    return {"id": "a", "state": state, "version": 1}


def storage(*rows: dict[str, Any] | None) -> Storage:
    return cast(Storage, Rows(*rows))


def test_a_deletion_that_ends_between_two_looks_is_seen():
    gone = image_set(DELETED)
    assert look_up(storage(image_set(ACTIVE), None, gone), "s", "a", None) == (gone, None)


def test_a_version_that_never_was_is_not_found():
    with pytest.raises(NotFound):
        look_up(storage(image_set(ACTIVE), None, image_set(ACTIVE)), "s", "a", 7)
