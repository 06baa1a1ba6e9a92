"""Documents that another host has brought are not asked of HealthImaging."""

import pytest

from dicomweb_gateway.imagesets.documents import DocumentCache
from dicomweb_gateway.imagesets.shared_documents import SharedDocuments
from dicomweb_gateway.imagesets.store import ImageSetRef
from tests.imagesets.documents import IMAGE_SET, STORE, CountingStore, blob

ONE, LATEST = (ImageSetRef(STORE, IMAGE_SET, version) for version in ("1", None))


class Tier(dict):
    """In place of the shared cache."""

    def put(self, key, value, seconds=None):
        self[key] = value


@pytest.fixture
def tier():
    return Tier()


def host(tmp_path, name, tier):
    """A host's cache, and what it has asked of HealthImaging."""
    store = CountingStore(tmp_path / f"{name} asked", {"1": blob(), None: blob()})
    return DocumentCache(store, tmp_path / name, tier=SharedDocuments(tier)), store


def test_the_second_host_asks_nothing(tmp_path, tier):
    (one, asked), (other, spared) = host(tmp_path, "one", tier), host(tmp_path, "other", tier)
    assert one.get(ONE).study_uid == other.get(ONE).study_uid
    assert one.opened(ONE).digest == other.opened(ONE).digest
    assert (asked.asked, spared.asked) == (["1"], [])


def test_what_has_no_version_is_not_shared(tmp_path, tier):
    one, _ = host(tmp_path, "one", tier)
    one.get(LATEST)
    assert not tier


@pytest.mark.parametrize("value", [b"", b"nonsense", SharedDocuments.__doc__.encode()])
def test_nonsense_is_a_miss(tmp_path, tier, value):
    one, _ = host(tmp_path, "one", tier)
    one.get(ONE)
    (key,) = tier
    for bad in (value, tier[key][:-10]):
        tier[key] = bad
        other, spared = host(tmp_path, f"other {len(bad)}", tier)
        assert other.get(ONE).study_uid == one.get(ONE).study_uid
        assert spared.asked == ["1"]


def test_json_that_is_no_document_is_a_miss(tmp_path, tier):
    SharedDocuments(tier).put(ONE, b"{}")
    one, asked = host(tmp_path, "one", tier)
    assert one.get(ONE).study_uid
    assert asked.asked == ["1"]
