import os
from pathlib import Path

import pytest

from dicomweb_gateway.dicom.found_files import find_files, printable
from dicomweb_gateway.emulator.errors import InvalidRequest
from dicomweb_gateway.emulator.ingest.scan import folder_of_uri


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def names(root: Path) -> list[str]:
    return [os.path.relpath(found.path, root) for found in find_files(str(root))]


def test_files_come_in_the_order_of_their_paths(tmp_path):
    for name in ("b/2", "b/1", "a", "c/d/e"):
        write(tmp_path / name)
    assert names(tmp_path) == ["a", "b/1", "b/2", "c/d/e"]


def test_links_are_followed_and_loops_end(tmp_path):
    write(tmp_path / "elsewhere" / "1")
    root = tmp_path / "root"
    write(root / "z" / "own")
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "z" / "loop").symlink_to(root)
    (root / "file").symlink_to(tmp_path / "elsewhere" / "1")
    assert names(root) == ["file", "linked/1", "z/own"]


def test_a_folder_that_is_reached_twice_counts_once(tmp_path):
    write(tmp_path / "b" / "1")
    (tmp_path / "a").symlink_to(tmp_path / "b")
    assert names(tmp_path) == ["a/1"]


def test_dead_links_are_listed_and_pipes_are_not(tmp_path):
    (tmp_path / "dead").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe")
    assert names(tmp_path) == ["dead"]


def test_one_file_is_a_job_of_its_own(tmp_path):
    file = write(tmp_path / "one")
    assert [found.path for found in find_files(str(file))] == [str(file)]


@pytest.mark.parametrize("uri", ["s3://bucket/in/", "/plain/path", "file://other-host/in/", "file:///in?x=1"])
def test_only_file_uris_name_folders(uri):
    with pytest.raises(InvalidRequest, match="inputS3Uri"):
        folder_of_uri(uri, "inputS3Uri")


def test_percent_encoded_and_odd_names_survive():
    assert folder_of_uri("file:///a%20b/%FF/", "inputS3Uri") == os.fsdecode(b"/a b/\xff/")
    assert printable(os.fsdecode(b"/\xff")) == "/�"
