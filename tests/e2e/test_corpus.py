"""The development corpus through a whole demo: every file loaded or listed, everything served exactly."""

import json
import warnings
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from .checking import Checker
from .compare import load_json
from .running import Demo, start_demo

pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning")


@pytest.fixture(scope="module")
def manifest(corpus: Path) -> dict[str, dict[str, Any]]:
    return {e["path"]: e for e in load_json(corpus / "MANIFEST.json")["entries"] if e["kind"] == "dicom"}


@pytest.fixture(scope="module")
def expected(corpus: Path) -> dict[str, dict[str, Any]]:
    return {e["path"]: e for e in load_json(corpus / "EXPECTED.json")["entries"]}


@pytest.fixture(scope="module")
def primaries(manifest: dict[str, dict[str, Any]]) -> list[str]:
    return sorted(path for path, entry in manifest.items() if entry["uid_primary"])


@pytest.fixture(scope="module")
def demo(corpus: Path, primaries: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = linked(corpus, primaries, tmp_path_factory.mktemp("primaries"))
    demo = start_demo(tmp_path_factory.mktemp("corpus-demo"), [folder])
    yield demo
    assert demo.stop() == 0


@pytest.fixture(scope="module")
def served(demo: Demo) -> dict[str, dict[str, Any]]:
    """SOP Instance UID to metadata, over every study that QIDO finds."""
    return metadata_of_everything(demo)


def linked(corpus: Path, names: list[str], folder: Path) -> Path:
    for name in names:
        link = folder / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(corpus / name)
    return folder


def metadata_of_everything(demo: Demo) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for study in demo.session.get(f"{demo.base}/studies", timeout=60).json():
        for instance in demo.session.get(f"{study['00081190']['Value'][0]}/metadata", timeout=60).json():
            found[instance["00080018"]["Value"][0]] = instance
    return found


def report_of(demo: Demo) -> dict[str, str]:
    """File to reason, of everything that was left out or noted."""
    lines = (demo.log.parent / "import-report.txt").read_text().splitlines()
    return {path: reason for reason, _, path in (line.partition("\t") for line in lines)}


def checker(demo: Demo, corpus: Path) -> Checker:
    def get(url: str, accept: str) -> tuple[int, bytes]:
        answer = demo.session.get(url, headers={"Accept": accept}, timeout=120)
        return answer.status_code, answer.content

    return Checker(get, folder=corpus)


def url_of(base: str, served: dict[str, Any]) -> str:
    study, series, instance = (served[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
    return f"{base}/studies/{study}/series/{series}/instances/{instance}"


def shared_tags(served: dict[str, dict[str, Any]]) -> dict[str, set[str]]:
    """Series UID to every tag that some instance of it has."""
    tags: dict[str, set[str]] = defaultdict(set)
    for instance in served.values():
        tags[instance["0020000E"]["Value"][0]].update(instance)
    return tags


def test_every_primary_file_is_loaded_or_listed(
    demo: Demo, served: dict[str, Any], primaries: list[str], manifest: dict[str, Any]
) -> None:
    reasons = report_of(demo)
    silent = [
        name
        for name in primaries
        if manifest[name]["sop_instance_uid"] not in served
        and not any(path.endswith(name) and reason for path, reason in reasons.items())
    ]
    assert silent == []
    assert len(served) >= 220


def test_every_study_is_found(demo: Demo, served: dict[str, Any]) -> None:
    uids = {instance["0020000D"]["Value"][0] for instance in served.values()}
    for uid in uids:
        found = demo.session.get(f"{demo.base}/studies", params={"StudyInstanceUID": uid}, timeout=60).json()
        assert [study["0020000D"]["Value"][0] for study in found] == [uid]


def test_metadata_equal_what_pydicom_reads(
    demo: Demo, corpus: Path, served: dict[str, Any], primaries: list[str], manifest: dict[str, Any]
) -> None:
    check = checker(demo, corpus)
    shared = shared_tags(served)
    for name in primaries:
        instance = served.get(manifest[name]["sop_instance_uid"])
        if instance is not None:
            check.metadata(name, check.source(name), instance, shared[instance["0020000E"]["Value"][0]])
    print(json.dumps(check.counts, indent=1))
    assert check.problems == []


def test_frames_hash_to_what_is_expected(
    demo: Demo,
    corpus: Path,
    served: dict[str, Any],
    primaries: list[str],
    manifest: dict[str, Any],
    expected: dict[str, Any],
) -> None:
    check = checker(demo, corpus)
    for name in primaries:
        instance = served.get(manifest[name]["sop_instance_uid"])
        if instance is not None and name in expected:
            check.frames(name, url_of(demo.base, instance), expected[name], manifest[name]["bits_allocated"])
    print(json.dumps(check.counts, indent=1))
    assert check.problems == []
    assert check.counts["frame exact: right"] >= 250


def test_whole_instances_open_equal(
    demo: Demo, corpus: Path, served: dict[str, Any], primaries: list[str], manifest: dict[str, Any]
) -> None:
    check = checker(demo, corpus)
    for name in primaries:
        instance = served.get(manifest[name]["sop_instance_uid"])
        if instance is not None:
            check.instance(name, url_of(demo.base, instance), check.source(name))
    print(json.dumps(check.counts, indent=1))
    assert check.problems == []


def test_images_render_and_the_rest_is_406(
    demo: Demo, corpus: Path, served: dict[str, Any], expected: dict[str, Any], manifest: dict[str, Any]
) -> None:
    check = checker(demo, corpus)
    images = {manifest[name]["sop_instance_uid"] for name in expected if name in manifest}
    for uid, instance in served.items():
        if uid in images or not {"7FE00010", "7FE00008"} & set(instance):
            check.rendered(uid, url_of(demo.base, instance), uid in images)
    print(json.dumps(check.counts, indent=1))
    assert check.problems == []


def test_broken_files_harm_nobody(corpus: Path, tmp_path: Path) -> None:
    demo = start_demo(tmp_path / "broken", [corpus / "broken"])
    try:
        served = metadata_of_everything(demo)
        reasons = report_of(demo)
        for file in sorted((corpus / "broken").glob("*.dcm")):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                uid = _uid_of(file)
            assert uid in served or any(path.endswith(file.name) for path in reasons), file.name
        for uid, instance in served.items():
            answer = demo.session.get(f"{url_of(demo.base, instance)}/rendered", timeout=60)
            assert answer.status_code in (200, 406), (uid, answer.text)
    finally:
        assert demo.stop() == 0


def _uid_of(file: Path) -> str | None:
    try:
        return str(dcmread(file, force=True, stop_before_pixels=True).get("SOPInstanceUID"))
    except Exception:
        return None
