"""Two hosts of one service: two gateways with caches of their own, one index, one HealthImaging, one tier."""

import gzip
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from dicomweb_gateway.app import create_app
from dicomweb_gateway.bootstrap import make_services
from dicomweb_gateway.imagesets.healthimaging import HealthImaging
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.index.writer import IndexWriter
from dicomweb_gateway.settings import load_settings
from dicomweb_gateway.workflow.samples import write_synthetic_series
from dicomweb_gateway.workflow.sync import Synchroniser
from tests.emulator.running import RunningEmulator
from tests.shared.servers import KINDS, CacheServer, wait_for

from .alone import REGION, running_emulator, running_fetcher

SLICES = 60


class Stand:
    """An emulator with a series in an index, and gateways over them; everything ends with `stack`."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self.url = stack.enter_context(running_emulator(folder / "emulator"))
        emulator = RunningEmulator(self.url, folder)
        write_synthetic_series(folder / "in", slices=SLICES, size=128)
        self.store = emulator.datastore()
        emulator.load(self.store, folder / "in")
        self.index = f"sqlite:///{folder / 'index.sqlite'}"
        upgrade(self.index)
        Synchroniser(IndexWriter(self.index), HealthImaging(self.url, REGION)).data_store(self.store)
        (row,) = emulator.image_sets(self.store)
        self.address = f"/datastore/{self.store}/imageSet/{row['imageSetId']}"
        (series,) = emulator.document(self.store, row["imageSetId"])["Study"]["Series"].values()
        self.frames = [one["ImageFrames"][0]["ID"] for one in series["Instances"].values()]

    def host(self, name: str, **settings: Any) -> Any:
        """An app with a cache and a fetcher of its own."""
        folder = self._folder / name
        folder.mkdir()
        address, cache = self._stack.enter_context(running_fetcher(self.url, folder))
        found = load_settings(
            {
                "data_dir": folder,
                "database_url": self.index,
                "ahi_endpoint": self.url,
                "ahi_region": REGION,
                "cache_root": cache,
                "prefetch": False,
                **settings,
            }
        )
        return create_app(make_services(found, [address], 80))

    def asked(self) -> dict[str, int]:
        """Calls of HealthImaging by operation, since the last time."""
        found = requests.get(f"{self.url}/_emulator/counters", timeout=30).json()["operations"]
        requests.post(f"{self.url}/_emulator/counters/reset", timeout=30)
        return {name: one["requests"] for name, one in found.items() if one["requests"]}

    def level_0(self, app: Any, frame_id: str) -> bytes:
        path = f"{self.address}/getImageFrame?startLevel=0&endLevel=0"
        answer = app.test_client().post(path, json={"imageFrameId": frame_id})
        assert answer.status_code == 200
        return bytes(answer.get_data())

    def metadata(self, app: Any) -> dict[str, Any]:
        answer = app.test_client().get(f"{self.address}/getImageSetMetadata?version=1")
        assert answer.status_code == 200
        return dict(json.loads(gzip.decompress(answer.get_data())))


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    with ExitStack() as stack:
        yield Stand(tmp_path, stack)


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[CacheServer]:
    found = CacheServer(request.param)
    yield found
    found.kill()


def test_the_second_host_asks_healthimaging_nothing_and_a_killed_server_costs_no_request(
    stand: Stand, server: CacheServer
) -> None:
    # a busy machine must not make the tier look slow
    tier = {**server.settings, "shared_cache_timeout": 2}
    one, other = stand.host("one", **tier), stand.host("other", **tier)
    stand.asked()
    first = {frame: stand.level_0(one, frame) for frame in stand.frames}
    document = stand.metadata(one)
    assert stand.asked() == {"GetImageFrame": SLICES, "GetImageSetMetadata": 1}
    shared = one.extensions["dicomweb_gateway"].archive.shared
    wait_for(lambda: shared.counts().get("stored", 0) == SLICES + 1)
    assert {frame: stand.level_0(other, frame) for frame in stand.frames} == first
    assert stand.metadata(other) == document
    assert stand.asked() == {}
    off = stand.host("off", **tier, enable_amazon_elasticache="false", enable_local_nodecache="false")
    assert off.extensions["dicomweb_gateway"].archive.shared is None
    assert stand.level_0(off, stand.frames[0]) == first[stand.frames[0]]
    assert stand.asked() == {"GetImageFrame": 1}

    third = stand.host("third", **server.settings)
    ended = threading.Event()

    def read_on(number: int) -> int:
        count = 0
        while not ended.is_set():
            frame = stand.frames[(number * 7 + count) % SLICES]
            assert stand.level_0(third, frame) == first[frame]
            third.extensions["dicomweb_gateway"].archive.first_levels.__init__(0)
            count += 1
        return count

    with ThreadPoolExecutor(8) as readers:
        reading = [readers.submit(read_on, number) for number in range(8)]
        try:
            for _ in range(2):
                time.sleep(0.3)
                server.kill()
                time.sleep(0.5)
                server.start()
            time.sleep(0.3)
        finally:
            ended.set()
        assert sum(one.result() for one in reading) > SLICES
