"""Demos that several end-to-end tests share; each is started once a session."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from dicomweb_gateway.workflow.samples import write_synthetic_series

from .node import Clients, need_packages
from .running import Demo, start_demo
from .viewer_files import encapsulated_pdf, write_hostile_names

LARGE = "1.2.826.0.1.3680043.10.1443.79"
"""Root of the UIDs of a series of one slice whose frame takes several reads, even compressed."""

DOCUMENT = b"%PDF-1.4\n" + bytes(range(256)) * 20 + b"\n%%EOF\n"

BUNDLED = (
    "CT_small.dcm",
    "MR_small.dcm",
    "SC_rgb_small_odd.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "examples_palette.dcm",
    "examples_ybr_color.dcm",
    "liver_1frame.dcm",
    "rtdose_1frame.dcm",
    "reportsi.dcm",
    "test-SR.dcm",
)


@pytest.fixture(scope="session")
def small_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Synthetic CTs, a PDF document and some of pydicom's own files: what every machine has."""
    folder = tmp_path_factory.mktemp("small")
    write_synthetic_series(folder / "ct", slices=12, size=128)
    write_synthetic_series(folder / "large", slices=1, size=512, root=LARGE)
    write_hostile_names(folder / "ct" / "001.dcm", folder / "hostile.dcm")
    encapsulated_pdf(DOCUMENT).save_as(folder / "document.dcm", enforce_file_format=True)
    for name in BUNDLED:
        found = get_testdata_file(name, download=False)
        if found is not None:
            (folder / name).symlink_to(found)
    return folder


@pytest.fixture(scope="session")
def small_demo(small_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    demo = start_demo(tmp_path_factory.mktemp("small-demo"), [small_folder])
    yield demo
    assert demo.stop() == 0


@pytest.fixture(scope="session")
def javascript() -> Iterator[Clients]:
    """JavaScript's clients under Node; skips, saying why, where they cannot be installed."""
    clients = Clients(need_packages())
    yield clients
    clients.close()
