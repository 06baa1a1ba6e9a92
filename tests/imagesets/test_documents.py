"""The document cache: one fetch over threads and processes, versions, age, bad disks (DESIGN 2)."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from dicomweb_gateway.errors import (
    UpstreamBusy,
    UpstreamDenied,
    UpstreamFailed,
    UpstreamNotFound,
    UpstreamThrottled,
    UpstreamTimeout,
)
from dicomweb_gateway.imagesets import documents
from dicomweb_gateway.imagesets.documents import DocumentCache
from dicomweb_gateway.imagesets.kept_files import KeptFiles
from dicomweb_gateway.imagesets.store import ImageSetRef
from tests.imagesets.documents import IMAGE_SET, INSTANCE, SERIES, STORE, CountingStore, blob

ONE, TWO, LATEST = (ImageSetRef(STORE, IMAGE_SET, version) for version in ("1", "2", None))


def patient(document):
    return document.patient["PatientID"]


@pytest.fixture
def store(tmp_path):
    answers = {version: blob(patient={"PatientID": f"P{version}"}) for version in ("1", "2", None)}
    return CountingStore(tmp_path / "asked", answers)


@pytest.fixture
def cache(store, tmp_path):
    return DocumentCache(store, tmp_path / "disk")


def files(tmp_path):
    return sorted((tmp_path / "disk").rglob("*.document"))


def test_each_version_is_fetched_once(cache, store):
    assert [patient(cache.get(ref)) for ref in (ONE, TWO, ONE, TWO)] == ["P1", "P2", "P1", "P2"]
    assert store.asked == ["1", "2"]


def test_threads_that_ask_together_cause_one_fetch(cache, store):
    together = Barrier(16)

    def ask(_):
        together.wait()
        return cache.get(ONE)

    with ThreadPoolExecutor(16) as threads:
        documents = list(threads.map(ask, range(16)))
    assert len({id(document) for document in documents}) == 1
    assert store.asked == ["1"]


def test_processes_that_ask_together_cause_one_fetch(store, tmp_path):
    start, go = os.pipe()
    children = []
    for _ in range(6):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.close(go)
                os.read(start, 1)
                code = 0 if patient(DocumentCache(store, tmp_path / "disk").get(ONE)) == "P1" else 1
            finally:
                os._exit(code)
        children.append(pid)
    os.close(start)
    os.close(go)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [0] * 6
    assert store.asked == ["1"]


def test_a_new_process_reads_from_disk(cache, store, tmp_path):
    cache.get(ONE)
    assert patient(DocumentCache(store, tmp_path / "disk").get(ONE)) == "P1"
    assert store.asked == ["1"]


def test_a_document_without_known_version_is_fetched_again_when_it_is_old(store, tmp_path):
    fresh, old = (DocumentCache(store, tmp_path / "disk", ttl=ttl) for ttl in (3600, -1))
    assert patient(fresh.get(LATEST)) == patient(fresh.get(LATEST)) == "PNone"
    assert store.asked == ["None"]
    store.answers[None] = blob(patient={"PatientID": "newer"})
    assert patient(old.get(LATEST)) == "newer"
    assert store.asked == ["None", "None"]


def test_a_known_version_is_trusted_for_ever(store, tmp_path):
    cache = DocumentCache(store, tmp_path / "disk", ttl=-1)
    cache.get(ONE)
    cache.get(ONE)
    assert store.asked == ["1"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-6],
        lambda data: b"",
        lambda data: b"no such format" * 9,
        lambda data: data[:-40] + b"\0\0" + data[-38:],
        lambda data: data + b"\0",
    ],
)
def test_a_damaged_file_is_a_miss(cache, store, tmp_path, damage):
    cache.get(ONE)
    (path,) = files(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert patient(DocumentCache(store, tmp_path / "disk").get(ONE)) == "P1"
    assert store.asked == ["1", "1"]
    assert path.read_bytes() == whole


def test_a_file_in_the_place_of_another_is_a_miss(cache, store, tmp_path):
    cache.get(ONE)
    (one,) = files(tmp_path)
    cache.get(TWO)
    (two,) = set(files(tmp_path)) - {one}
    two.write_bytes(one.read_bytes())
    assert patient(DocumentCache(store, tmp_path / "disk").get(TWO)) == "P2"


def test_instances_of_a_swept_document_can_still_be_read(cache, tmp_path):
    document = cache.get(ONE)
    for path in files(tmp_path):
        path.unlink()
    assert document.find_instance(SERIES, INSTANCE).instance_uid == INSTANCE


def test_a_document_cut_short_under_our_hands_is_an_error_not_an_answer(cache, tmp_path):
    document = cache.get(ONE)
    (path,) = files(tmp_path)
    os.truncate(path, path.stat().st_size - 30)
    with pytest.raises(UpstreamFailed):
        document.find_instance(SERIES, INSTANCE)


def test_without_a_usable_disk_documents_still_come(store, tmp_path):
    (tmp_path / "disk").write_text("a file where the folder should be")
    cache = DocumentCache(store, tmp_path / "disk")
    assert patient(cache.get(ONE)) == "P1"
    assert patient(cache.get(ONE)) == "P1"
    assert store.asked == ["1"]


def test_errors_reach_the_caller_and_are_not_remembered(cache, store):
    gone = ImageSetRef(STORE, IMAGE_SET, "9")
    with pytest.raises(UpstreamNotFound):
        cache.get(gone)
    store.answers["9"] = blob(patient={"PatientID": "P9"})
    assert patient(cache.get(gone)) == "P9"


def test_a_malformed_document_is_not_kept(cache, store, tmp_path):
    good, store.answers["1"] = store.answers["1"], b"{}"
    with pytest.raises(UpstreamFailed):
        cache.get(ONE)
    store.answers["1"] = good
    assert patient(cache.get(ONE)) == "P1"


def test_forget_drops_memory_and_disk(cache, store, tmp_path):
    cache.get(ONE)
    cache.forget(ONE)
    assert files(tmp_path) == []
    cache.get(ONE)
    assert store.asked == ["1", "1"]


def test_memory_budget_leaves_the_most_recent(cache, store, tmp_path):
    cache.get(ONE)
    weight = cache._held_bytes
    small = DocumentCache(store, tmp_path / "disk", memory_bytes=weight * 3 // 2)
    first = small.get(ONE)
    assert small.get(ONE) is first
    small.get(TWO)
    assert small.get(ONE) is not first
    assert store.asked == ["1", "2"]


def test_a_document_above_the_memory_budget_is_read_from_disk_each_time(store, tmp_path):
    cache = DocumentCache(store, tmp_path / "disk", memory_bytes=10)
    assert cache.get(ONE) is not cache.get(ONE)
    assert store.asked == ["1"]


def test_disk_budget_removes_the_least_recently_used(store, tmp_path):
    store.answers.update({str(n): blob(patient={"PatientID": str(n)}) for n in range(40)})
    one = DocumentCache(store, tmp_path / "disk")
    one.get(ImageSetRef(STORE, IMAGE_SET, "0"))
    size = files(tmp_path)[0].stat().st_size
    cache = DocumentCache(store, tmp_path / "disk", disk_bytes=size * 10)
    for number in range(40):
        cache.get(ImageSetRef(STORE, IMAGE_SET, str(number)))
    assert 5 <= len(files(tmp_path)) <= 11
    DocumentCache(store, tmp_path / "disk").get(ImageSetRef(STORE, IMAGE_SET, "39"))
    assert store.asked.count("39") == 1


def grow_old(tmp_path, seconds, *caches):
    """As if all that is kept had been written `seconds` ago."""
    for path in files(tmp_path):
        os.utime(path, (time.time() - seconds,) * 2)
    for cache in caches:
        for held in cache._held.values():
            held.written_at -= seconds


def wait_for(condition):
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


@pytest.mark.parametrize("seconds", [40, 3600, 23 * 3600])
def test_a_document_without_known_version_is_renewed_while_it_is_served(store, tmp_path, seconds):
    cache = DocumentCache(store, tmp_path / "disk", ttl=60)
    before = cache.version(LATEST)
    store.answers[None] = blob(patient={"PatientID": "newer"})
    grow_old(tmp_path, seconds, cache)
    assert patient(cache.get(LATEST)) == "PNone"
    wait_for(lambda: patient(cache.get(LATEST)) == "newer")
    assert store.asked == ["None", "None"]
    assert cache.version(LATEST) != before


def test_after_an_idle_day_a_request_waits_for_what_is_new(store, tmp_path):
    cache = DocumentCache(store, tmp_path / "disk", ttl=60)
    cache.get(LATEST)
    store.answers[None] = blob(patient={"PatientID": "newer"})
    grow_old(tmp_path, 25 * 3600, cache)
    assert patient(cache.get(LATEST)) == "newer"


def test_a_new_process_serves_what_lies_on_disk_and_renews_it(cache, store, tmp_path):
    cache.get(LATEST)
    store.answers[None] = blob(patient={"PatientID": "newer"})
    grow_old(tmp_path, 3600)
    other = DocumentCache(store, tmp_path / "disk")
    assert patient(other.get(LATEST)) == "PNone"
    wait_for(lambda: patient(other.get(LATEST)) == "newer")


def test_all_processes_renew_a_document_once(store, tmp_path):
    caches = [DocumentCache(store, tmp_path / "disk") for _ in range(4)]
    for cache in caches:
        cache.get(LATEST)
    store.answers[None] = blob(patient={"PatientID": "newer"})
    grow_old(tmp_path, 3600, *caches)
    for cache in caches:
        assert patient(cache.get(LATEST)) == "PNone"
    wait_for(lambda: all(patient(cache.get(LATEST)) == "newer" for cache in caches))
    assert store.asked == ["None", "None"]


def test_the_version_of_a_document_is_its_own_where_none_is_known(cache, store, tmp_path):
    assert (cache.version(ONE), store.asked) == ("1", [])
    assert cache.version(LATEST) == DocumentCache(store, tmp_path / "disk").version(LATEST)


def test_threads_beyond_the_limit_are_told_to_come_again(store, tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "_PATIENCE", 0.05)
    cache = DocumentCache(store, tmp_path / "disk", waiting=1)
    entered, leave = Event(), Event()
    fetch = store.metadata

    def slow(ref, deadline=None):
        entered.set()
        assert leave.wait(10)
        return fetch(ref)

    monkeypatch.setattr(store, "metadata", slow)
    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(cache.get, ONE)
        assert entered.wait(10)
        with pytest.raises(UpstreamThrottled) as refused:
            cache.get(TWO)
        leave.set()
        assert patient(first.result()) == "P1"
    assert refused.value.retry_after
    assert patient(cache.get(TWO)) == "P2"
    assert patient(cache.get(ONE)) == "P1"


def break_store(monkeypatch, store, error):
    """Whatever is asked of the store fails; the list that is returned grows with each try."""
    tries = []

    def metadata(ref, deadline=None):
        tries.append(ref)
        raise error("down")

    monkeypatch.setattr(store, "metadata", metadata)
    return tries


@pytest.mark.parametrize("error", [UpstreamFailed, UpstreamTimeout, UpstreamThrottled, UpstreamBusy])
def test_while_the_upstream_is_down_what_is_too_old_is_served(store, tmp_path, monkeypatch, error):
    DocumentCache(store, tmp_path / "disk").get(LATEST)
    grow_old(tmp_path, 25 * 3600)
    cache = DocumentCache(store, tmp_path / "disk")
    with monkeypatch.context() as broken:
        tries = break_store(broken, store, error)
        assert patient(cache.get(LATEST)) == "PNone"
        assert len(tries) == 1
        assert patient(cache.get(LATEST)) == "PNone"
        with pytest.raises(error):
            cache.get(ONE)
        cache._held[LATEST].trusted_until = 0
    store.answers[None] = blob(patient={"PatientID": "newer"})
    wait_for(lambda: patient(cache.get(LATEST)) == "newer")


def test_a_renewal_that_fails_is_not_tried_again_at_once(cache, store, tmp_path, monkeypatch):
    cache.get(LATEST)
    grow_old(tmp_path, 3600, cache)
    tries = break_store(monkeypatch, store, UpstreamFailed)
    for _ in range(3):
        assert patient(cache.get(LATEST)) == "PNone"
        wait_for(lambda: not cache._renewing)
    assert len(tries) == 1


@pytest.mark.parametrize("error", [UpstreamNotFound, UpstreamDenied])
def test_what_is_gone_or_refused_is_not_served_on(store, tmp_path, monkeypatch, error):
    DocumentCache(store, tmp_path / "disk").get(LATEST)
    break_store(monkeypatch, store, error)
    with pytest.raises(error):
        DocumentCache(store, tmp_path / "disk", ttl=-1).get(LATEST)


@pytest.mark.parametrize("error", [UpstreamNotFound, UpstreamDenied])
def test_a_renewal_that_finds_nothing_drops_the_document(cache, store, tmp_path, monkeypatch, error):
    cache.get(LATEST)
    grow_old(tmp_path, 40, cache)
    break_store(monkeypatch, store, error)
    cache.get(LATEST)
    wait_for(lambda: not cache._held)
    with pytest.raises(error):
        cache.get(LATEST)


def test_who_waits_too_long_for_another_process_is_told_to_come_again(cache, store, tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "_LONGEST_FETCH", 0.05)
    other = KeptFiles(tmp_path / "disk", 1 << 20, ".document")
    with other.lock(f"{STORE}/{IMAGE_SET}/1"), pytest.raises(UpstreamThrottled) as refused:
        cache.get(ONE)
    assert refused.value.retry_after
    assert patient(cache.get(ONE)) == "P1"
    assert store.asked == ["1"]
