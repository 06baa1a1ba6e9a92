"""The file that says how far a demo's import is."""

from dicomweb_gateway.workflow.progress import Progress, clear_progress, read_progress, write_progress


def test_written_read_and_cleared(tmp_path):
    assert read_progress(tmp_path) is None
    write_progress(tmp_path, Progress(3, 9))
    assert read_progress(tmp_path) == Progress(3, 9)
    clear_progress(tmp_path)
    clear_progress(tmp_path)
    assert read_progress(tmp_path) is None


def test_a_damaged_file_still_means_importing(tmp_path):
    (tmp_path / "loading.json").write_text("{")
    assert read_progress(tmp_path) == Progress(0, 0)
