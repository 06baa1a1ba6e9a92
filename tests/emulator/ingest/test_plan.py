"""Files to groups (healthimaging.md 2.5)."""

from dicomweb_gateway.dicom.found_files import FoundFile
from dicomweb_gateway.emulator.ingest.plan import plan_groups
from dicomweb_gateway.emulator.ingest.reading import Identity


def row(path: str, instance: str, series: str = "1.1", patient: str = "P") -> tuple[FoundFile, Identity]:
    key = ("20240101", "A", patient, "7")
    return FoundFile(path, 1, 1), Identity("1", series, instance, key, ("1",))


def paths(plan) -> list[list[str]]:
    return [[file.path for file in group.files] for group in plan.groups]


def test_one_group_for_each_set_of_grouping_elements_in_order_of_first_files():
    plan = plan_groups(
        [row("a", "1"), row("b", "2", series="1.2"), row("c", "3"), row("d", "4", patient="Q")], {}
    )
    assert paths(plan) == [["a", "c"], ["b"], ["d"]]
    assert plan.skipped == []


def test_duplicates_stay_together_in_a_group_but_not_across_groups():
    plan = plan_groups([row("a", "1"), row("b", "1"), row("c", "1", series="1.2")], {})
    assert paths(plan) == [["a", "b"]]
    [skipped] = plan.skipped
    assert (skipped.path, skipped.outcome) == ("c", "skipped")
    assert "already imported from a" in str(skipped.message)


def test_instances_that_another_path_holds_are_skipped():
    plan = plan_groups([row("a", "1"), row("b", "2")], {"1": "elsewhere", "2": "b"})
    assert paths(plan) == [["b"]]
    assert [o.path for o in plan.skipped] == ["a"]
