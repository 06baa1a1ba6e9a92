"""What a sight shows (issue of access control; dicomweb.md H-5 for its digest)."""

import pytest

from dicomweb_gateway.sight import EVERYTHING, NOTHING, Grant, Sight

CT = {"Modality": "CT", "InstitutionName": "St. Mary [North]"}


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        ((), True),
        ((("Modality", ("CT",)),), True),
        ((("Modality", ("ct",)),), False),
        ((("Modality", ("MR", "C?")),), True),
        ((("Modality", ("C",)),), False),
        ((("InstitutionName", ("St. Mary*",)),), True),
        ((("InstitutionName", ("St. Mary [North]",)),), True),
        ((("InstitutionName", ("StXMary*",)),), False),
        ((("Modality", ("CT",)), ("InstitutionName", ("Other",))), False),
        ((("IssuerOfPatientID", ("*",)),), False),
    ],
)
def test_all_that_a_grant_wants_must_match(
    wanted: tuple[tuple[str, tuple[str, ...]], ...], shown: bool
) -> None:
    assert Grant(None, wanted).shows("a" * 32, CT) is shown
    assert Grant(frozenset({"b" * 32}), wanted).shows("a" * 32, CT) is False


def test_one_grant_of_several_is_enough() -> None:
    sight = Sight((Grant(frozenset({"a"})), Grant(None, (("Modality", ("MR",)),))))
    assert sight.shows("a", CT)
    assert not sight.shows("b", CT)
    assert sight.shows("b", {"Modality": "MR"})
    assert sight.stores is None
    assert sight.has_wanted


def test_everything_and_nothing() -> None:
    assert EVERYTHING.is_everything
    assert EVERYTHING.digest == ""
    assert NOTHING.is_nothing
    assert Sight((Grant(frozenset()),)).is_nothing
    assert not NOTHING.shows("a", CT)


def test_within_data_stores() -> None:
    assert EVERYTHING.within(frozenset({"a"})) == Sight((Grant(frozenset({"a"})),))
    assert Sight((Grant(frozenset({"a", "b"})),)).within(frozenset({"b", "c"})).stores == frozenset({"b"})
    assert EVERYTHING.within(None) is EVERYTHING
    assert Sight((Grant(frozenset({"a"})),)).within(frozenset({"b"})).is_nothing


def test_digests_tell_sights_apart() -> None:
    first = Sight((Grant(frozenset({"a"})), Grant(frozenset({"b"}), (("Modality", ("CT",)),))))
    same = Sight(tuple(reversed(first.grants)))
    other = Sight((Grant(frozenset({"a"})), Grant(frozenset({"b"}), (("Modality", ("MR",)),))))
    assert first.digest == same.digest
    assert len({first.digest, other.digest, NOTHING.digest, EVERYTHING.digest}) == 4


def test_what_two_sights_show() -> None:
    ct, mary = (("Modality", ("CT",)),), (("InstitutionName", ("St. Mary*",)),)
    both = Sight((Grant(frozenset({"a"}), ct), Grant(None, mary))).narrowed(Sight((Grant(None, ct),)))
    assert both == Sight((Grant(frozenset({"a"}), ct), Grant(None, (*mary, *ct))))
    assert both.shows("b", CT)
    assert not both.shows("b", {**CT, "Modality": "MR"})
    assert not both.shows("b", {"Modality": "CT"})
    assert EVERYTHING.narrowed(both) is both
    assert both.narrowed(EVERYTHING) is both
    assert NOTHING.narrowed(both).is_nothing
    assert both.narrowed(NOTHING).is_nothing
