"""Fixtures that every room's tests may use."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def corpus_folder() -> Path:
    """Where the development corpus lies, whether or not it exists here."""
    return Path(os.environ.get("DICOM_CORPUS", ROOT.parent / "shared" / "data" / "dicom"))


@pytest.fixture(scope="session")
def corpus() -> Path:
    folder = corpus_folder()
    if not (folder / "MANIFEST.json").exists():
        pytest.skip(f"no DICOM corpus at {folder} (set DICOM_CORPUS)")
    return folder


@pytest.fixture(scope="session")
def ahi_documents() -> Path:
    folder = corpus_folder().parent / "ahi"
    if not folder.is_dir():
        pytest.skip(f"no HealthImaging documents at {folder}")
    return folder
