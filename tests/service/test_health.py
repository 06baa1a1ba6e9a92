"""Health: what fails, and what is only told of."""

from types import SimpleNamespace

import pytest

from dicomweb_gateway.access.tokens import StaticTokens, add_token
from dicomweb_gateway.errors import IndexUnavailable
from dicomweb_gateway.service.health import HealthProbe
from dicomweb_gateway.shared.addresses import SharedCacheConfig
from dicomweb_gateway.shared.cache import SharedCache
from dicomweb_gateway.shared.rest import FAILURES


def answers() -> None:
    pass


def is_away() -> None:
    raise IndexUnavailable("the index does not answer")


@pytest.fixture
def probe(tmp_path):
    """`probe(...)`: one over parts that answer, but for what is given."""

    def make(index=answers, **more):
        part = SimpleNamespace
        return HealthProbe(
            part(ping=index), part(ping=answers), tmp_path, part(ping=answers), tmp_path, **more
        )

    return make


def test_a_shared_cache_that_is_down_is_told_of_and_nothing_fails(probe):
    cache = SharedCache(SharedCacheConfig(("127.0.0.1:1",), None, timeout=0.5), b"secret")
    health = probe(shared=cache)
    assert ("shared cache", True, "") in health.parts()
    for _ in range(FAILURES):
        cache.look()
    report = health.report()
    assert report.failing is None
    assert any("shared cache is down" in note for note in report.notes)
    # everybody may ask for health
    assert "127.0.0.1" not in str(report.notes)
    assert ("shared cache", False, "127.0.0.1:1") in health.parts()
    assert "shared cache" not in [name for name, _, _ in probe().parts()]


def test_a_file_of_logins_that_is_gone_is_told_of(probe, tmp_path, monkeypatch):
    add_token(tmp_path / "tokens", "one", (), (), None)
    tokens = StaticTokens(tmp_path / "tokens")
    health = probe(files=lambda: tuple(one for one in (tokens.trouble,) if one))
    assert health.report().notes == ()
    (tmp_path / "tokens").unlink()
    monkeypatch.setattr("dicomweb_gateway.access.watched_file._LOOK_SECONDS", 0.0)
    tokens._file.reread()
    assert health.report().notes == ("a file of logins is gone",)
    assert ("files", False, "a file of logins is gone") in health.parts()


def test_what_nothing_can_be_served_without_fails(probe):
    assert probe(is_away).report().failing == "index: the index does not answer"
