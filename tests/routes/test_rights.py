"""Every route and every kind of caller: what is not theirs looks as if it did not exist.

The table is made of the app's own map, so a new route is walked too, and one that this file does not know how
to ask fails.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any

import pytest
from werkzeug.routing import Rule

from dicomweb_gateway.access.operations import Operation
from dicomweb_gateway.errors import UndecodablePixels
from dicomweb_gateway.web.rights import OPERATIONS, places
from tests.routes.archive import BROKEN, CT, JPEG, OTHER, SEG, SR, STORE, STUDY, hex_id
from tests.routes.callers import CALLERS, Locked, Rights, lock

MODALITIES = {STUDY: {"CT", "SR"}, OTHER: {"CT", "SEG", "DOC"}}
MODALITY_OF = {CT: "CT", SEG: "SEG"}
UNKNOWN = "1.2.77.7"
"""A series of a study that nobody ever had."""
HIDDEN_FROM = {"CT": [SEG, SR], "SEG": [CT, SR, JPEG]}
METHODS = ("GET", "HEAD", "POST")
LOOKING = ("/", "/viewer/app-config.js")
"""Open to all, but who comes with a login is known here, and must be who they say."""
VARYING = (
    "X-Request-Id",
    "Server-Timing",
    "Date",
    "ETag",
    "Last-Modified",
    "Content-Length",
    "Content-Range",
)


@pytest.fixture(scope="module")
def locked(tmp_path_factory) -> Locked:
    return lock(tmp_path_factory.mktemp("locked"))


def arguments_of(series: str) -> dict[str, str]:
    """What the placeholders of addresses stand for when they lead to the first frame of `series`."""
    return {
        "study": series.rpartition(".")[0],
        "series": series,
        "instance": f"{series}.1",
        "frames": "1",
        "level": "0",
        "steps": "00091001",
        "name": "app.bundle.css",
        "page": "account",
        "digest": "0",
        "file": "frame.css",
        "datastore_id": STORE,
        "image_set_id": hex_id("set", series),
    }


def address(rule: Rule, series: str) -> str:
    filled = re.sub(r"<(?:\w+:)?(\w+)>", lambda found: arguments_of(series)[found[1]], rule.rule)
    return f"{filled}?imageFrameId={hex_id('frame', series, 1, 1)}" if "/datastore/" in filled else filled


def rules(locked: Locked) -> Iterator[tuple[Rule, str, Operation, str | None]]:
    """(rule, method, operation, base path) of every address of the app."""
    known = places(locked.app, locked.house.services.config.ae_paths)
    for rule in locked.app.url_map.iter_rules():
        place = known[rule.endpoint]
        for method in METHODS:
            if method in (rule.methods or ()):
                yield rule, method, place.operation, place.ae_path


def ask(locked: Locked, caller: str | None, url: str, method: str, series: str = CT) -> Any:
    headers = {} if caller is None else {"Authorization": f"Bearer {locked.tokens[caller]}"}
    named = {} if url.endswith("/searchImageSets") else {"imageFrameId": hex_id("frame", series, 1, 1)}
    body = named if method == "POST" else None
    response = locked.app.test_client().open(url, method=method, headers=headers, json=body)
    response.get_data()
    return response


def shape(response: Any, series: str) -> tuple[int, dict[str, str], str]:
    """All that a client sees of an answer, with the UIDs and ids of what was asked taken out."""
    text = response.get_data(as_text=True)
    for value in sorted(arguments_of(series).values(), key=len, reverse=True):
        if len(value) > 1:
            text = text.replace(value, "-")
    headers = {name: value for name, value in response.headers.items() if name not in VARYING}
    return response.status_code, headers, text


def is_seen(rights: Rights, operation: Operation, path: str | None, rule: Rule, series: str) -> bool:
    """Whether what the address names is there for the caller."""
    if {"series", "image_set_id"} & rule.arguments:
        return rights.sees(operation, path, [MODALITY_OF[series]])
    return rights.sees(operation, path, MODALITIES[series.rpartition(".")[0]])


@lru_cache(maxsize=1024)
def is_answered(locked: Locked, url: str, method: str, series: str) -> bool:
    """Whether who may see everything gets something: not all that is there can be shown in every form.

    From the second time on, when what fails while it goes out is left out.
    """
    with suppress(UndecodablePixels):
        ask(locked, "all", url, method, series)
    return ask(locked, "all", url, method, series).status_code < 400


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("series", [CT, SEG])
def test_what_is_hidden_looks_like_what_never_was(locked, caller, series):
    walked = 0
    for rule, method, operation, path in rules(locked):
        if not rule.arguments or operation is Operation.PUBLIC:
            continue
        walked += 1
        url = address(rule, series)
        if is_seen(CALLERS[caller], operation, path, rule, series):
            answered = is_answered(locked, url, method, series)
            assert (ask(locked, caller, url, method, series).status_code < 400) == answered, (
                caller,
                method,
                url,
            )
            continue
        found = ask(locked, caller, url, method, series)
        never = ask(locked, caller, address(rule, UNKNOWN), method, UNKNOWN)
        assert shape(found, series) == shape(never, UNKNOWN), (caller, method, url)
        assert "ETag" not in found.headers or found.status_code == 200
    assert walked > 50


@pytest.mark.parametrize("modality", HIDDEN_FROM)
def test_nothing_of_hidden_series_is_in_any_answer(locked, modality):
    caller = modality.lower()
    for rule, method, operation, _ in rules(locked):
        if operation is Operation.PUBLIC:
            continue
        for series in (CT, SEG):
            found = ask(locked, caller, address(rule, series), method, series)
            if found.status_code >= 400:
                continue
            text = found.get_data(as_text=False).decode("latin-1") + str(found.headers)
            for hidden in HIDDEN_FROM[modality]:
                uid = re.compile(rf"(?<![0-9.]){re.escape(hidden)}(?![0-9])")
                assert uid.search(text) is None, (caller, method, address(rule, series))


@pytest.mark.parametrize("credentials", [{}, {"Authorization": "Bearer wrong"}, {"token": "wrong"}])
def test_without_a_login_nothing_but_the_doors_that_show_nothing(locked, credentials):
    client = locked.app.test_client()
    for rule, method, operation, _ in rules(locked):
        response = client.open(address(rule, CT), method=method, headers=credentials)
        response.get_data()
        if rule.rule.startswith(("/login", "/logout")):
            assert response.status_code in (200, 404), rule.rule
            assert "1.2." not in response.get_data(as_text=True)
        elif operation is Operation.PUBLIC and not (credentials and rule.rule in LOOKING):
            assert response.status_code == 200, rule.rule
        else:
            assert response.status_code == 401, (method, rule.rule)
            assert "WWW-Authenticate" in response.headers
            assert "1.2." not in response.get_data(as_text=True)
    assert locked.house.frames.asked == [] or all(
        key.datastore_id == STORE for key in locked.house.frames.asked
    )


def test_hidden_frames_are_never_fetched(tmp_path):
    locked = lock(tmp_path)
    for caller in ("elsewhere", "strangers", "issuer", "searcher", "without a rule"):
        for rule, method, operation, _ in rules(locked):
            if operation is not Operation.PUBLIC:
                ask(locked, caller, address(rule, CT), method)
    assert locked.house.frames.asked == locked.house.frames.prefetched == []


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("path", ["/aetitle", "/dicomweb"])
def test_searches_find_and_count_what_may_be_seen(locked, caller, path):
    rights = CALLERS[caller]
    seen = {
        study: {one for one in modalities if rights.sees(Operation.SEARCH, path, [one])}
        for study, modalities in MODALITIES.items()
    }
    rows = ask(locked, caller, f"{path}/studies?includefield=all", "GET").get_json()
    assert {row["0020000D"]["Value"][0] for row in rows} == {study for study, there in seen.items() if there}
    for row in rows:
        study = row["0020000D"]["Value"][0]
        series = ask(locked, caller, f"{path}/studies/{study}/series", "GET").get_json()
        instances = ask(locked, caller, f"{path}/studies/{study}/instances", "GET").get_json()
        assert set(row["00080061"]["Value"]) == seen[study]
        assert {one["00080060"]["Value"][0] for one in series} == seen[study]
        assert row["00201206"]["Value"] == [len(series)]
        assert row["00201208"]["Value"] == [len(instances)]
    everything = ask(locked, caller, f"{path}/instances?limit=1", "GET")
    found = ask(locked, caller, f"{path}/instances", "GET").get_json()
    assert len(everything.get_json()) == min(1, len(found))
    for modality in ("CT", "SR", "SEG", "DOC"):
        with_it = ask(locked, caller, f"{path}/studies?ModalitiesInStudy={modality}", "GET").get_json()
        assert {row["0020000D"]["Value"][0] for row in with_it} == {
            study for study, there in seen.items() if modality in there
        }


def test_study_answers_hold_what_may_be_seen(locked):
    for caller, modality in (("ct", "CT"), ("seg", "SEG")):
        rows = ask(locked, caller, f"/aetitle/studies/{OTHER}/metadata", "GET").get_json()
        assert {row["00080060"]["Value"][0] for row in rows} == {modality}
    both = [
        ask(locked, who, f"/aetitle/studies/{OTHER}/metadata", "GET").headers["ETag"] for who in ("ct", "seg")
    ]
    assert both[0] != both[1]


def test_rights_to_search_are_not_rights_to_read(locked):
    """Rules add up by operation: what may be found need not be what may be read."""
    rows = ask(locked, "mixed", f"/aetitle/studies/{OTHER}/series", "GET").get_json()
    assert {row["00080060"]["Value"][0] for row in rows} == MODALITIES[OTHER]
    for series, status in ((SEG, 200), (BROKEN, 404), (CT, 404)):
        study = series.rpartition(".")[0]
        url = f"/aetitle/studies/{study}/series/{series}/metadata"
        assert ask(locked, "mixed", url, "GET").status_code == status


def test_one_callers_answers_are_no_other_callers(locked):
    """Caches, entity tags and bindings that callers share, asked in turn."""
    for _ in range(2):
        for caller, status in (("all", 200), ("seg", 404), ("ct", 200), ("strangers", 404), ("all", 200)):
            for below in ("", "/metadata", "/rendered", "/thumbnail", "/instances/" + CT + ".1/frames/1"):
                url = f"/aetitle/studies/{STUDY}/series/{CT}{below}"
                assert ask(locked, caller, url, "GET").status_code == status, (caller, url)
    known = ask(locked, "all", f"/aetitle/studies/{STUDY}/series/{CT}/metadata", "GET").headers["ETag"]
    client = locked.app.test_client()
    conditional = {"Authorization": f"Bearer {locked.tokens['seg']}", "If-None-Match": known}
    url = f"/aetitle/studies/{STUDY}/series/{CT}/metadata"
    assert client.get(url, headers=conditional).status_code == 404


def test_every_view_has_an_operation_and_every_operation_a_view(locked):
    views = {rule.endpoint.rpartition(".")[2] for rule in locked.app.url_map.iter_rules()}
    assert views == set(OPERATIONS)


def test_a_route_without_an_operation_keeps_the_app_from_being_made(locked, monkeypatch):
    monkeypatch.delitem(OPERATIONS, "retrieve_frames")
    with pytest.raises(LookupError, match="retrieve_frames"):
        places(locked.app, ("/aetitle",))


def test_addresses_that_do_not_exist_tell_nothing_before_the_login(locked):
    client = locked.app.test_client()
    for url in ("/nothing", "/aetitle/nothing", "/metric", "/datastore", "/aetitle/studies/1.2.10/nothing"):
        assert client.get(url).status_code == 401
        assert client.delete(url).status_code == 401
        assert ask(locked, "all", url, "GET").status_code == 404


def test_searches_of_healthimagings_own_show_what_is_seen_and_count_nothing_else(locked):
    url = f"/datastore/{STORE}/searchImageSets"
    rows = ask(locked, "ct", url, "POST").get_json()["imageSetsMetadataSummaries"]
    everything = ask(locked, "all", url, "POST").get_json()["imageSetsMetadataSummaries"]
    assert 0 < len(rows) < len(everything)
    assert hex_id("set", CT) in {row["imageSetId"] for row in rows}
    assert all("DICOMNumberOfStudyRelatedSeries" not in row["DICOMTags"] for row in rows)
    assert all("DICOMNumberOfStudyRelatedSeries" in row["DICOMTags"] for row in everything)
