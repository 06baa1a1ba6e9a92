"""Byte ranges and resolution levels over HTTP (dicomweb.md F-7, F-8, F-11, M-6, B-5)."""

import imagecodecs
import numpy as np
import pytest

from dicomweb_gateway.tlm.levels import level_bounds
from tests.routes.archive import BOXED, CT, JPEG, PDF, PDF_BYTES, RGB, path_of, slice_pixels

OHIF = "multipart/related; type=application/octet-stream; transfer-syntax=*"
ALONE = "application/octet-stream; transfer-syntax=*"
DECODED = 'multipart/related; type="application/octet-stream"'
FRAME = f"{path_of(CT, 1)}/frames/1"


def bytes_of(path, series=CT):
    return f"{path_of(series, 1)}/{path}"


@pytest.mark.parametrize("accept", [OHIF, ALONE, DECODED, "application/octet-stream"])
@pytest.mark.parametrize("size", [1, 100, 1000, 4096])
def test_ranges_put_together_are_the_whole(get, accept, size):
    whole = get(FRAME, accept)
    assert whole.headers["Accept-Ranges"] == "bytes"
    total = len(whole.data)
    starts = range(0, total, size) if size > 1 else [0, 1, total // 2, total - 1]
    for start in starts:
        part = get(FRAME, accept, Range=f"bytes={start}-{start + size - 1}")
        assert part.status_code == 206
        end = min(start + size, total)
        assert part.headers["Content-Range"] == f"bytes {start}-{end - 1}/{total}"
        assert part.headers["Content-Type"] == whole.headers["Content-Type"]
        assert int(part.headers["Content-Length"]) == end - start
        assert part.headers["ETag"] == whole.headers["ETag"]
        assert "Content-Encoding" not in part.headers
        assert part.data == whole.data[start:end]


def test_cornerstone_reads_on_in_another_process_and_after_a_restart(get, fresh):
    other = fresh.app.test_client()
    first = get(FRAME, OHIF, Range="bytes=0-999")
    rest = other.get(
        FRAME, headers={"Accept": OHIF, "Range": "bytes=1000-", "If-Range": first.headers["ETag"]}
    )
    assert rest.status_code == 206
    assert first.data + rest.data == get(FRAME, OHIF).data


def test_a_stale_if_range_gives_everything(get):
    answer = get(FRAME, OHIF, Range="bytes=0-9", If_Range='"of another version"')
    assert answer.status_code == 200
    assert answer.data == get(FRAME, OHIF).data


def test_outside_is_416(get):
    answer = get(FRAME, OHIF, Range="bytes=99999999-")
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(get(FRAME, OHIF).data)}"
    assert answer.json["status"] == 416


@pytest.mark.parametrize("text", ["bytes=5-1", "bytes=0-1,3-4", "lines=1-2", "bytes=x"])
def test_other_ranges_give_everything(get, text):
    assert get(FRAME, OHIF, Range=text).status_code == 200


def test_a_304_beats_a_range(get):
    etag = get(FRAME, OHIF).headers["ETag"]
    assert get(FRAME, OHIF, Range="bytes=0-9", If_None_Match=etag).status_code == 304


def test_head_tells_the_whole(get):
    answer = get(FRAME, OHIF, method="HEAD", Range="bytes=0-9")
    assert answer.status_code == 200
    assert int(answer.headers["Content-Length"]) == len(get(FRAME, OHIF).data)
    assert answer.headers["Accept-Ranges"] == "bytes"


def test_documents_instances_and_pictures_have_ranges_too(get):
    pdf = get(bytes_of("bulkdata/00420011", PDF), "application/pdf", Range="bytes=0-3")
    assert (pdf.status_code, pdf.data) == (206, PDF_BYTES[:4])
    file = get(path_of(CT, 1), "application/dicom", Range="bytes=128-131")
    assert (file.status_code, file.data) == (206, b"DICM")
    picture = get(bytes_of("rendered"), "image/png", Range="bytes=1-3")
    assert (picture.status_code, picture.data) == (206, b"PNG")


class TestLevels:
    def stored(self, house, series=CT):
        return house.frames.frames[house.key(series)]

    @pytest.mark.parametrize("series", [CT, RGB, BOXED])
    def test_levels_put_together_are_the_codestream(self, get, series):
        path = bytes_of("frames/1", series)
        whole = get(path, ALONE).data
        count = len(level_bounds(whole)) - 1
        assert count > 1
        pieces = [get(f"{path}?startLevel={n}&endLevel={n}", ALONE).data for n in range(count)]
        assert b"".join(pieces) == whole
        assert get(f"{path}?endLevel=0", ALONE).data + get(f"{path}?startLevel=1", ALONE).data == whole
        assert whole.startswith(b"\xff\x4f")

    def test_level_0_decodes_to_a_small_image(self, get):
        small = imagecodecs.htj2k_decode(get(f"{FRAME}?endLevel=0", ALONE).data, skipres=1)
        assert small.shape == tuple(-(-side // 2) for side in slice_pixels(1).shape)

    @pytest.mark.parametrize("accept", [None, "*/*", OHIF, 'multipart/related; type="image/jphc"'])
    def test_in_multipart_and_for_every_default(self, get, accept):
        answer = get(f"{FRAME}?startLevel=1", accept)
        assert answer.headers["Content-Type"].startswith('multipart/related; type="image/jphc"')
        assert get(f"{FRAME}?startLevel=1", ALONE).data in answer.data

    @pytest.mark.parametrize(("query", "length"), [("startLevel=99", 0), ("startLevel=1&endLevel=0", 0)])
    def test_past_the_end_is_empty(self, get, query, length):
        answer = get(f"{FRAME}?{query}", ALONE)
        assert (answer.status_code, len(answer.data)) == (200, length)

    @pytest.mark.parametrize(
        "query", ["startLevel=-1", "endLevel=1.5", "startLevel=", "endLevel=a", "endLevel=99999"]
    )
    def test_junk_is_400(self, get, query):
        assert get(f"{FRAME}?{query}", ALONE).status_code == 400

    def test_other_codings_have_none(self, get):
        answer = get(f"{bytes_of('frames/1', JPEG)}?endLevel=0", ALONE)
        assert answer.status_code == 400
        assert "not JPEG 2000" in answer.json["message"]

    def test_decoded_pixels_have_none(self, get):
        accept = "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
        assert get(f"{FRAME}?endLevel=0", accept).status_code in (400, 406)

    @pytest.mark.parametrize("accept", [OHIF, ALONE])
    @pytest.mark.parametrize("series", [CT, BOXED])
    def test_the_header_tells_what_to_ask(self, get, accept, series):
        path = bytes_of("frames/1", series)
        head = get(path, accept, method="HEAD")
        ends = [int(end) for end in head.headers["Resolution-Level-Ends"].split(", ")]
        levels = [get(f"{path}?startLevel={n}&endLevel={n}", ALONE).data for n in range(len(ends))]
        position = 0
        for end, level in zip(ends, levels, strict=True):
            part = get(path, accept, Range=f"bytes={position}-{end - 1}")
            assert part.status_code == 206
            assert part.data.endswith(level)
            position = end
        assert get(path, accept).headers["Resolution-Level-Ends"] == head.headers["Resolution-Level-Ends"]

    @pytest.mark.parametrize(
        ("series", "frames", "accept"), [(CT, "1", DECODED), (RGB, "1,2", OHIF), (JPEG, "1", OHIF)]
    )
    def test_what_has_no_levels_tells_none(self, get, series, frames, accept):
        answer = get(bytes_of(f"frames/{frames}", series), accept)
        assert answer.status_code == 200
        assert "Resolution-Level-Ends" not in answer.headers

    def test_etags_differ_by_level(self, get):
        paths = (FRAME, f"{FRAME}?endLevel=0", f"{FRAME}?startLevel=0", f"{FRAME}?endLevel=1")
        assert len({get(path, ALONE).headers["ETag"] for path in paths}) == 4

    def test_samples_of_all_levels_are_exact(self, get):
        assert np.array_equal(imagecodecs.htj2k_decode(get(FRAME, ALONE).data), slice_pixels(1))
