"""Manifests and logs as HealthImaging, its documentation and the emulator write them."""

import json

import pytest

from dicomweb_gateway.errors import ImportTrouble
from dicomweb_gateway.workflow.importing.job_logs import MANIFEST, read_logs

SUMMARY = {
    "imageSetsSummary": [{"imageSetId": "a", "imageSetVersion": 3, "isPrimary": True}, {"imageSetId": "b"}]
}


def logs_of(summary=SUMMARY, **files):
    held = {f"{name.upper()}/{name}.ndjson": text.encode() for name, text in files.items()}
    if summary is not None:
        held[MANIFEST] = json.dumps({"jobSummary": summary}).encode()
    return read_logs(held.get)


def test_a_job_without_any_log_but_its_manifest():
    logs = logs_of()
    assert logs.image_sets == (("a", "3"), ("b", None))
    assert (logs.imported, logs.failures, logs.warnings, logs.unreadable) == (frozenset(), {}, {}, 0)


def test_a_byte_order_mark_does_no_harm():
    line = '{"inputFile": "in/1.dcm", "importResponse": {"imageSetId": "c"}}'
    files = {MANIFEST: json.dumps({"jobSummary": SUMMARY}), "SUCCESS/success.ndjson": line}
    logs = read_logs({name: text.encode("utf-8-sig") for name, text in files.items()}.get)
    assert logs.image_sets == (("a", "3"), ("b", None), ("c", None))
    assert logs.imported == {"1.dcm"}


@pytest.mark.parametrize(
    "line",
    [
        '{"inputFile": "in/1.dcm", "importResponse": {"imageSetId": "c", "isPrimary": true}}',
        '{"inputFile": "in/1.dcm", "importResponse": {"imageSetId": "c", "isPrimary": True}}',
        '{"inputFile": "in/1.dcm", "importResponse": {"imageSetId": "c", "isPrimary":True,"x":[None]}}',
        "{'inputFile': 's3://bucket/in/1.dcm', 'importResponse': {'imageSetId': 'c', 'isPrimary': True}}",
        '  {"inputFile": "1.dcm", "importResponse": {"imageSetId": "c"}, "more": {"unknown": [1, 2]}}  ',
    ],
)
def test_lines_are_read_leniently(line):
    logs = logs_of(success=f"\n{line}\n\n")
    assert logs.imported == {"1.dcm"}
    assert ("c", None) in logs.image_sets
    assert logs.unreadable == 0


def test_reasons_and_warnings_come_through():
    logs = logs_of(
        failure='{"inputFile": "x/1", "exception": {"exceptionType": "Validation", "message": "no UID"}}'
        "\n"
        '{"inputFile": "x/2", "exception": {}}\n{"inputFile": "x/3"}',
        warning='{"inputFile": "x/4", "importResponse": {"imageSetId": "a", "warnings": [{"type": "T"}, '
        '{"message": "m"}]}}',
    )
    told = "HealthImaging gives no reason"
    assert logs.failures == {"1": "Validation: no UID", "2": told, "3": told}
    assert logs.warnings == {"4": "T; m"}


def test_nonsense_is_counted_and_does_no_harm():
    deep = "[" * 100_000
    logs = logs_of(success=f'nonsense\n[1]\n{{"inputFile": 5}}\n{deep}\n{{"inputFile": "ok"}}')
    assert (logs.imported, logs.unreadable) == ({"ok"}, 4)


@pytest.mark.parametrize("manifest", [b"", b"[]", b"{}", b'{"jobSummary": 3}', b"\xff"])
def test_a_manifest_that_is_none_is_said(manifest):
    with pytest.raises(ImportTrouble, match="not of its form"):
        read_logs({MANIFEST: manifest}.get)


def test_a_missing_manifest_is_trouble_only_where_there_must_be_one():
    with pytest.raises(ImportTrouble, match="has left no"):
        logs_of(None)
    assert read_logs({}.get, required=False).image_sets == ()


@pytest.mark.parametrize(
    "told", ['"no object"', "5", "[1]", '{"warnings": 5}', '{"warnings": {"type": "T"}}']
)
def test_answers_of_another_form_do_no_harm(told):
    line = f'{{"inputFile": "in/1", "importResponse": {told}}}'
    logs = logs_of({"imageSetsSummary": 5}, success=line, warning=line)
    assert (logs.imported, logs.warnings, logs.image_sets) == ({"1"}, {"1": "a warning without text"}, ())
