"""Import jobs and the indexer on the status page, with a real emulator and a real index."""

import re

from dicomweb_gateway.imagesets.store import ImageSetRef
from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.ledger import note_failure, sync_completed, sync_started
from dicomweb_gateway.settings import Settings
from tests.emulator.files import ct_slice, save
from tests.emulator.running import running
from tests.routes.test_stow import Gateway

NUMBERS = {"indexed": 3, "unchanged": 1, "removed": 0, "failed": 2}
MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z")


def test_jobs_runs_and_failures_are_told(tmp_path):
    with running(tmp_path / "upstream", workers=1) as emulator:
        gateway = Gateway(emulator, tmp_path / "gateway")
        store = gateway.datastore_id
        save(ct_slice(1), tmp_path / "in" / "1.dcm")
        emulator.load(store, tmp_path / "in")
        engine = make_engine(Settings(data_dir=tmp_path / "gateway").index_url)
        sync_started(engine, store)
        sync_completed(engine, store, NUMBERS)
        note_failure(engine, ImageSetRef(store, "a" * 32, "1"), "<reason>")
        engine.dispose()
        facts = gateway.client.get("/status?format=json").json
        [job] = facts["jobs"]["jobs"]
        assert (job["status"], job["data_store"]) == ("COMPLETED", store)
        assert MOMENT.fullmatch(job["submitted"])
        assert facts["jobs"]["note"] is None
        [run] = facts["indexer"]["syncs"]
        assert run == run | {"data_store": store, **NUMBERS}
        assert 0 <= run["lag_seconds"] < 60
        assert facts["indexer"]["failures"] == 1
        assert facts["indexer"]["failing"][0]["reason"] == "<reason>"
        page = gateway.client.get("/status").get_data(as_text=True)
        assert job["job"] in page
        assert "&lt;reason&gt;" in page
        assert "Not indexed: 1 image sets" in page


def test_a_healthimaging_that_is_away_is_said_so(tmp_path):
    with running(tmp_path / "upstream", workers=1) as emulator:
        gateway = Gateway(emulator, tmp_path / "gateway")
    facts = gateway.client.get("/status?format=json").json
    assert "jobs" not in facts["jobs"]
    assert facts["jobs"]["note"].startswith("not known")
    assert facts["indexer"]["note"] is None
    assert "not known" in gateway.client.get("/status").get_data(as_text=True)
