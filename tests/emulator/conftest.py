"""One emulator for all tests of a file that do not change it, with one small series in it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.emulator.files import ct_slice, save
from tests.emulator.running import RunningEmulator, running


@dataclass(frozen=True)
class Loaded:
    """A running emulator and the one image set in it: three slices of 64 x 64."""

    emulator: RunningEmulator
    datastore_id: str
    image_set_id: str
    job_id: str


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    folder = tmp_path_factory.mktemp("emulator")
    for number in (1, 2, 3):
        save(ct_slice(number), folder / "in" / f"{number}.dcm")
    with running(folder, workers=1) as emulator:
        datastore_id = emulator.datastore()
        job_id = emulator.start(datastore_id, folder / "in")
        emulator.wait(datastore_id, job_id)
        [found] = emulator.image_sets(datastore_id)
        yield Loaded(emulator, datastore_id, found["imageSetId"], job_id)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    return folder
