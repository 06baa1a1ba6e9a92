"""Our own pages in Chromium: studies, stack view, metadata; scripts in names; what axe-core finds."""

import json
import re
from typing import Any
from urllib.parse import unquote

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from dicomweb_gateway.workflow.made_series import ROOT
from tests.emulator.running import client_of

from .conftest import LARGE
from .node import drive
from .running import Demo
from .viewer_files import HOSTILE

SYNTHETIC = "1.2.826.0.1.3680043.10.1443.77"


def change_description(demo: Demo, study: str, series: str) -> None:
    """Have HealthImaging make another version of the series' image set."""
    path = f"{demo.base}/studies/{study}/series/{series}/image-sets"
    (image_set,) = demo.session.get(path, timeout=30).json()
    changed = {"SchemaVersion": 1.1, "Study": {"DICOM": {"StudyDescription": "Changed"}}}
    answer = client_of(demo.emulator).update_image_set_metadata(
        **image_set,
        latestVersionId="1",
        updateImageSetMetadataUpdates={"DICOMUpdates": {"updatableAttributes": json.dumps(changed).encode()}},
    )
    assert answer["latestVersionId"] == "2"


@pytest.fixture(scope="module")
def seen(small_demo: Demo) -> dict[str, Any]:
    """What `pages.mjs` saw; what that is stands there."""
    change_description(small_demo, f"{HOSTILE}.1", f"{HOSTILE}.2")
    cine = get_testdata_file("examples_ybr_color.dcm", download=False)
    return drive(
        "pages.mjs",
        root=small_demo.root,
        studies={
            "stack": f"{SYNTHETIC}.1",
            "large": f"{LARGE}.1",
            "cine": str(dcmread(str(cine), stop_before_pixels=True).StudyInstanceUID),
            "hostile": f"{HOSTILE}.1",
        },
    )


def test_nothing_failed(seen: dict[str, Any]) -> None:
    assert (seen["errors"], seen["failures"]) == ([], [])


def test_everybody_can_read_them_on_every_screen(seen: dict[str, Any]) -> None:
    assert (seen["unread"], seen["wide"]) == ([], [])


def test_studies_are_found_sorted_and_paged(seen: dict[str, Any]) -> None:
    listed = seen["list"]
    assert sorted(listed["all"]) == sorted(listed["byName"])
    assert len(listed["all"]) > 10
    named = [name for name in listed["byName"] if name != "No name"]
    assert [name.casefold() for name in named] == sorted(name.casefold() for name in named)
    assert listed["found"] == ["SYNTHETIC, CT"] * 2
    assert [len(page) for page in listed["pages"]] == [5, 5]
    assert [*listed["pages"][0], *listed["pages"][1]] == listed["all"][:10]


def test_a_study_opens_with_its_series_and_the_ways_on(seen: dict[str, Any], small_demo: Demo) -> None:
    listed = seen["list"]
    assert listed["series"] == 1
    assert unquote(listed["weasis"]) == (
        f'weasis://$dicom:rs --url "{small_demo.base}" -r "studyUID={SYNTHETIC}.1"'
    )
    assert listed["stack"].startswith(f"/pages/stack?study={SYNTHETIC}.1&series={SYNTHETIC}.2")


def test_the_stack_scrolls_by_keys_wheel_and_slider(seen: dict[str, Any]) -> None:
    numbers = [re.findall(r"Image (\d+) of 12", where)[0] for where in seen["stack"]["where"]]
    assert numbers == ["1", "12", "2", "5"]
    assert seen["stack"]["levels"] == ["0: 64 × 64", "1, full: 128 × 128"]


def test_the_picture_is_windowed_turned_and_put_back(seen: dict[str, Any]) -> None:
    stack = seen["stack"]
    own, dragged, lung = (window.splitlines()[0] for window in stack["windows"])
    assert len({own, dragged, lung}) == 3
    assert lung == "C -600 W 1500"
    assert all(stack[changed] > 1 for changed in ("lung", "r", "h", "v", "i"))
    assert (stack["reset"], stack["turnedRound"]) == (0, 0)


def test_fingers_scroll_and_zoom(seen: dict[str, Any]) -> None:
    assert re.fullmatch(r"Image 3 of 12\s+Zoom (1[5-9]|2)\d+ %", seen["touched"])


def test_all_methods_show_the_same(seen: dict[str, Any]) -> None:
    """JPEG at quality 90 is a grey level or so apart."""
    large = seen["large"]
    assert large["full"]["apart"] == 0
    assert large["rendered"]["apart"] < 3
    assert large["coarse"]["apart"] < 30
    assert "64 × 64" in large["coarse"]["how"]
    for method in ("levels", "full", "rendered"):
        told = large[method]["figures"]
        assert told["frames"] == "1 of 1"
        assert re.fullmatch(r"[\d.]+ kB", told["bytes"]), told
    assert large["full"]["figures"]["size"] == "524 kB"


def test_a_coarse_level_stands_first_and_what_is_passed_is_left(seen: dict[str, Any]) -> None:
    hurried = seen["hurried"]
    assert hurried["coarse"]["first"].endswith(" ms")
    assert hurried["coarse"]["full"] == "…"
    assert re.search(r", [1-9]\d* left", hurried["full"]["requests"])
    assert hurried["where"].startswith("Image 12 of 12")


def test_frames_of_a_colour_cine_are_images(seen: dict[str, Any]) -> None:
    assert "Frame 2 of 30" in seen["cine"]["where"]
    assert seen["cine"]["coloured"]
    assert (seen["cine"]["play"], seen["cine"]["rate"]) == ("Play", "30")


def test_who_may_not_retrieve_gets_rendered_pictures(seen: dict[str, Any]) -> None:
    assert seen["limited"]["methods"] == ["Rendered by the gateway (JPEG)"]
    assert [request.partition("?")[0] for request in seen["limited"]["asked"]] == ["rendered"]


def test_keys_alone_lead_from_a_search_to_a_window(seen: dict[str, Any]) -> None:
    where, own, whole = seen["walked"]
    assert where.startswith("Image 2 of 12")
    assert own.splitlines()[0] != whole.splitlines()[0]


def test_all_samples_are_shown_and_nothing_is_complained_of(seen: dict[str, Any]) -> None:
    samples = seen["samples"]
    assert samples["pictures"] == samples["stacks"] == samples["shown"] >= 10


def test_the_gateway_tells_how_it_is(seen: dict[str, Any]) -> None:
    assert len(seen["status"]) > 3


def test_names_are_text(seen: dict[str, Any]) -> None:
    assert (seen["dialogs"], seen["alive"]) == (0, [])
    for name in ("<script>alert(1)</script>", "</td><script>alert(3)</script>", "<b onmouseover=alert(4)>"):
        assert name in seen["hostile"]["listed"]
    assert seen["hostile"]["who"] == '<script>alert(1)</script>\n"><svg onload=alert(2)>'
    assert "<b onmouseover=alert(4)>x</b>" in seen["hostile"]["what"]


def test_metadata_are_searched_opened_and_compared(seen: dict[str, Any]) -> None:
    metadata = seen["metadata"]
    assert metadata["rows"] > 30
    assert metadata["told"] == "2 matches"
    assert [hit.split("\t")[0] for hit in metadata["hits"]] == ["(0028,1052)", "(0028,1053)"]
    assert metadata["versions"] == ["2, the latest", "1"]
    assert "Study Description" in metadata["changes"]
    assert "</td><script>alert(3)</script>\tChanged" in metadata["changes"]
    assert "Patient's Name" in metadata["opened"]
    assert "Patient's Name" not in metadata["closed"]
    assert metadata["raw"] == "<script>alert(1)</script>"


def test_the_sample_series_is_the_one_that_is_driven() -> None:
    assert ROOT == SYNTHETIC


def test_attributes_are_edited_after_a_question(seen: dict[str, Any]) -> None:
    edit = seen["edit"]
    assert "<b>Edited</b>" in edit["planned"]
    assert "Changed" in edit["planned"]
    assert "primary" in edit["limits"]
    assert edit["left"] == "<b>Edited</b>"
    assert edit["told"] == "Changed: version 3 is the latest now."
    assert "<b>Edited</b>\tChanged" in edit["reverting"]
    assert edit["reverted"] == "Changed: version 4 is the latest now."
