"""The JavaScript `dicomweb-client` and cornerstone's own requests under Node (dicomweb.md section 8, V-7)."""

from base64 import b64encode
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom import FileDataset, dcmread
from pydicom.data import get_testdata_file

from .conftest import DOCUMENT
from .node import Clients, bytes_of
from .running import Demo
from .viewer_files import ROOT

STUDY = "1.2.826.0.1.3680043.10.1443.77.1"
SERIES = "1.2.826.0.1.3680043.10.1443.77.2"
HTJ2K, ELE, JLS, J2K = (f"1.2.840.10008.1.2{rest}" for rest in (".4.202", ".1", ".4.80", ".4.90"))
ANY_SYNTAX = "multipart/related; type=application/octet-stream; transfer-syntax=*"
DECODERS = {JLS: imagecodecs.jpegls_decode, J2K: imagecodecs.jpeg2k_decode, HTJ2K: imagecodecs.htj2k_decode}


@pytest.fixture
def file(small_folder: Path) -> FileDataset:
    return dcmread(small_folder / "ct" / "003.dcm")


@pytest.fixture
def large(small_folder: Path) -> FileDataset:
    return dcmread(small_folder / "large" / "001.dcm")


@pytest.fixture
def cine() -> FileDataset:
    """A colour ultrasound loop of 30 frames, JPEG baseline."""
    found = get_testdata_file("examples_ybr_color.dcm", download=False)
    if found is None:
        pytest.skip("this pydicom bundles no examples_ybr_color.dcm")
    return dcmread(found)


def names_of(dataset: FileDataset) -> dict[str, str]:
    return {
        "studyInstanceUID": dataset.StudyInstanceUID,
        "seriesInstanceUID": dataset.SeriesInstanceUID,
        "sopInstanceUID": dataset.SOPInstanceUID,
    }


def url_of(demo: Demo, dataset: FileDataset, rest: str = "") -> str:
    study, series, instance = names_of(dataset).values()
    return f"{demo.base}/studies/{study}/series/{series}/instances/{instance}{rest}"


def decoded(part: dict[str, Any], syntax: str, like: np.ndarray) -> np.ndarray:
    """The samples of a frame of that transfer syntax."""
    data = bytes_of(part)
    if syntax == ELE:
        return np.frombuffer(data, like.dtype).reshape(like.shape)
    samples: np.ndarray = DECODERS[syntax](data)
    return samples.astype(like.dtype)


def labels_of(part: dict[str, Any]) -> tuple[str, str] | None:
    """Media type and transfer syntax as the client understood them; version 0.10.4 does not."""
    return (part["contentType"], part["transferSyntaxUID"]) if "contentType" in part else None


def decompositions(codestream: bytes) -> int:
    """Of its COD segment (ISO/IEC 15444-1 A.6.1)."""
    return codestream[codestream.index(b"\xff\x52") + 9]


@pytest.mark.parametrize("version", ["0.11.3", "0.10.4"])
class TestDicomwebClient:
    """The newest version and the one that OHIF 3.13 carries (L-9, L-10)."""

    @pytest.fixture
    def call(self, javascript: Clients, small_demo: Demo, version: str) -> Any:
        def call(method: str, options: dict[str, Any], **settings: Any) -> Any:
            outcome = javascript.call(
                client=version, url=small_demo.base, method=method, options=options, settings=settings
            )
            assert "error" not in outcome, outcome
            return outcome["result"]

        return call

    def test_searches(self, call: Any, file: FileDataset) -> None:
        studies = call(
            "searchForStudies", {"queryParams": {"PatientName": "SYNTH*", "StudyDate": "20240311"}}
        )
        assert STUDY in {row["0020000D"]["Value"][0] for row in studies}
        series = call("searchForSeries", {"studyInstanceUID": STUDY})
        assert [row["0020000E"]["Value"][0] for row in series] == [SERIES]
        instances = call(
            "searchForInstances", {**names_of(file), "queryParams": {"limit": 5, "includefield": "00280010"}}
        )
        assert [row["00200013"]["Value"][0] for row in instances] == [1, 2, 3, 4, 5]

    @pytest.mark.parametrize(("level", "number"), [("Study", 12), ("Series", 12), ("Instance", 1)])
    def test_metadata(self, call: Any, file: FileDataset, level: str, number: int) -> None:
        rows = call(f"retrieve{level}Metadata", names_of(file))
        # of one instance it gives the object itself
        rows = rows if isinstance(rows, list) else [rows]
        assert len(rows) == number
        assert {row["00280010"]["Value"][0] for row in rows} == {128}

    def test_frames_by_default_are_uncompressed(self, call: Any, file: FileDataset) -> None:
        (frame,) = call("retrieveInstanceFrames", {**names_of(file), "frameNumbers": [1]})
        assert bytes_of(frame) == file.PixelData
        assert labels_of(frame) in (None, ("application/octet-stream", ELE))

    @pytest.mark.parametrize(
        ("media_type", "syntax", "labelled"),
        [
            ("image/jhc", HTJ2K, "image/jphc"),
            ("image/jls", JLS, "image/jls"),
            ("image/jp2", J2K, "image/jp2"),
        ],
    )
    def test_frames_of_a_mixed_list(
        self, call: Any, file: FileDataset, media_type: str, syntax: str, labelled: str
    ) -> None:
        wanted = [{"mediaType": media_type, "transferSyntaxUID": syntax}]
        wanted += [{"mediaType": "application/octet-stream", "transferSyntaxUID": ELE}]
        (frame,) = call(
            "retrieveInstanceFrames", {**names_of(file), "frameNumbers": [1], "mediaTypes": wanted}
        )
        # what is not stored so may be made of it (W-3) or come as the list's next type
        plain = len(bytes_of(frame)) == len(file.PixelData)
        assert not (plain and syntax == HTJ2K)
        answer = ("application/octet-stream", ELE) if plain else (labelled, syntax)
        assert labels_of(frame) in (None, answer)
        assert np.array_equal(decoded(frame, answer[1], file.pixel_array), file.pixel_array)

    def test_several_frames_in_the_order_asked(self, call: Any, cine: FileDataset, small_demo: Demo) -> None:
        frames = call("retrieveInstanceFrames", {**names_of(cine), "frameNumbers": [30, 1, 7]})
        single = {"Accept": "application/octet-stream"}
        urls = [url_of(small_demo, cine, f"/frames/{number}") for number in (30, 1, 7)]
        assert [bytes_of(frame) for frame in frames] == [
            small_demo.session.get(url, headers=single, timeout=60).content for url in urls
        ]
        assert {len(bytes_of(frame)) for frame in frames} == {cine.Rows * cine.Columns * 3}
        assert {labels_of(frame) for frame in frames} <= {None, ("application/octet-stream", ELE)}

    def test_an_instance(self, call: Any, file: FileDataset) -> None:
        served = dcmread(BytesIO(bytes_of(call("retrieveInstance", names_of(file)))))
        assert served.SOPInstanceUID == file.SOPInstanceUID
        assert served.PixelData == file.PixelData

    @pytest.mark.parametrize("level", ["Study", "Series"])
    def test_many_instances(self, call: Any, file: FileDataset, level: str) -> None:
        served = [dcmread(BytesIO(bytes_of(part))) for part in call(f"retrieve{level}", names_of(file))]
        assert [int(one.InstanceNumber) for one in served] == list(range(1, 13))
        assert served[2].PixelData == file.PixelData

    def test_bulk_data(self, call: Any, file: FileDataset, small_demo: Demo) -> None:
        where = {"BulkDataURI": url_of(small_demo, file, "/bulkdata/7FE00010")}
        (value,) = call("retrieveBulkData", where)
        assert bytes_of(value) == file.PixelData
        (value,) = call("retrieveBulkData", where, singlepart="bulkdata")
        assert bytes_of(value) == file.PixelData

    def test_a_document(self, call: Any, small_demo: Demo) -> None:
        """L-8, B-3: as OHIF asks for it, in parts and alone."""
        where = {
            "BulkDataURI": f"{small_demo.base}/studies/{ROOT}.2.1/series/{ROOT}.2.2/instances/{ROOT}.2.3"
        }
        where["BulkDataURI"] += "/bulkdata/00420011"
        types = [{"mediaType": "application/pdf"}, {"mediaType": "application/octet-stream"}]
        for settings in ({}, {"singlepart": "bulkdata"}):
            (value,) = call("retrieveBulkData", {**where, "mediaTypes": types}, **settings)
            assert bytes_of(value).rstrip(b"\0") == DOCUMENT

    @pytest.mark.parametrize("kind", ["Rendered", "Thumbnail"])
    @pytest.mark.parametrize("media_type", [None, "image/jpeg", "image/png", "image/gif"])
    def test_pictures(self, call: Any, file: FileDataset, kind: str, media_type: str | None) -> None:
        wanted = {"mediaTypes": [{"mediaType": media_type}]} if media_type else {}
        outcome = call(
            f"retrieveInstance{kind}", {**names_of(file), **wanted, "queryParams": {"viewport": "64,32"}}
        )
        # version 0.10.4 gives one picture as it is
        (value,) = outcome if isinstance(outcome, list) else [outcome]
        image = Image.open(BytesIO(bytes_of(value)))
        assert (image.format, image.size) == ((media_type or "image/jpeg")[6:].upper(), (32, 32))

    def test_a_picture_of_a_frame(self, call: Any, cine: FileDataset) -> None:
        wanted = {"frameNumbers": [7], "mediaTypes": [{"mediaType": "image/png"}]}
        outcome = call("retrieveInstanceFramesRendered", {**names_of(cine), **wanted})
        (value,) = outcome if isinstance(outcome, list) else [outcome]
        image = Image.open(BytesIO(bytes_of(value)))
        assert (image.mode, image.size) == ("RGB", (cine.Columns, cine.Rows))

    def test_failures_carry_their_status(
        self, javascript: Clients, small_demo: Demo, file: FileDataset, version: str
    ) -> None:
        options = {**names_of(file), "frameNumbers": [2]}
        outcome = javascript.call(
            client=version, url=small_demo.base, method="retrieveInstanceFrames", options=options
        )
        assert outcome["status"] == 404


def test_progress_is_told(javascript: Clients, small_demo: Demo, large: FileDataset) -> None:
    """M-7: by the newest version, whose callback belongs to a request."""
    options = {**names_of(large), "frameNumbers": [1]}
    outcome = javascript.call(
        client="0.11.3", url=small_demo.base, method="retrieveInstanceFrames", options=options
    )
    last = outcome["progress"][-1]
    assert last["lengthComputable"]
    assert last["loaded"] == last["total"] > len(large.PixelData)


def test_byte_ranges_of_bulk_data(javascript: Clients, small_demo: Demo, file: FileDataset) -> None:
    """B-5: by the newest version; 0.10.4 takes every 206 for a failure."""

    def ranged(settings: dict[str, Any], **more: Any) -> bytes:
        options = {"BulkDataURI": url_of(small_demo, file, "/bulkdata/7FE00010"), **more}
        outcome = javascript.call(
            client="0.11.3",
            url=small_demo.base,
            method="retrieveBulkData",
            options=options,
            settings=settings,
        )
        (value,) = outcome["result"]
        return bytes_of(value)

    assert ranged({}, byteRange=[0]) == file.PixelData
    headers = {"Range": "bytes=100-299", "Accept": "application/octet-stream"}
    assert ranged({"singlepart": "bulkdata", "headers": headers}) == file.PixelData[100:300]


class TestCornerstone:
    """`@cornerstonejs/dicom-image-loader`: requests, multipart parsing, decoder (L-3 to L-6, M-1 to M-4)."""

    @pytest.fixture
    def pixels(self, javascript: Clients, small_demo: Demo) -> Any:
        def pixels(dataset: FileDataset, accept: str | None = ANY_SYNTAX, rest: str = "", **more: Any) -> Any:
            uri = url_of(small_demo, dataset, f"/frames/{rest or 1}")
            outcome = javascript.call(cornerstone="pixels", uri=uri, accept=accept, **more)
            assert "error" not in outcome, outcome
            return outcome

        return pixels

    @pytest.fixture
    def stored(self, small_demo: Demo, large: FileDataset) -> bytes:
        """The large slice's codestream, alone."""
        headers = {"Accept": f"image/jphc; transfer-syntax={HTJ2K}"}
        answer = small_demo.session.get(url_of(small_demo, large, "/frames/1"), headers=headers, timeout=60)
        assert answer.headers["Content-Type"] == f"image/jphc; transfer-syntax={HTJ2K}"
        return answer.content

    @pytest.mark.parametrize(
        "accept",
        [
            ANY_SYNTAX,
            ANY_SYNTAX.replace("*", '"*"'),
            f'multipart/related; type="image/jphc"; transfer-syntax="{HTJ2K}"',
            "image/jphc",
        ],
    )
    def test_a_stored_frame(self, pixels: Any, large: FileDataset, stored: bytes, accept: str) -> None:
        outcome = pixels(large, accept)
        assert bytes_of(outcome["pixels"]) == stored
        assert outcome["transferSyntax"] == HTJ2K
        assert outcome["contentType"].startswith("image/jphc")

    def test_an_uncompressed_frame(self, pixels: Any, large: FileDataset) -> None:
        outcome = pixels(large, None)
        assert bytes_of(outcome["pixels"]) == large.PixelData
        assert outcome["transferSyntax"] == ELE

    def test_frames_of_a_loop(self, pixels: Any, cine: FileDataset, small_demo: Demo) -> None:
        for number in (1, 30):
            outcome = pixels(cine, rest=str(number))
            assert outcome["transferSyntax"] == "1.2.840.10008.1.2.4.50"
            headers = {"Accept": "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50"}
            url = url_of(small_demo, cine, f"/frames/{number}")
            alone = small_demo.session.get(url, headers=headers, timeout=60)
            assert bytes_of(outcome["pixels"]) == alone.content

    def test_it_reads_only_the_first_of_several_parts(self, pixels: Any, cine: FileDataset) -> None:
        several, single = pixels(cine, rest="9,2,3"), pixels(cine, rest="9")
        assert bytes_of(several["pixels"]) == bytes_of(single["pixels"])

    def test_streaming(self, pixels: Any, large: FileDataset, stored: bytes) -> None:
        """L-4: what has come is decoded every few KiB; the length tells how much that is (M-7)."""
        chunk = {"streaming": True, "initialChunkSize": 4096, "chunkSize": 4096}
        outcome = pixels(large, retrieve=chunk)
        assert bytes_of(outcome["pixels"]) == stored
        assert outcome["transferSyntax"] == HTJ2K
        assert {step["contentType"] for step in outcome["steps"]} == {outcome["contentType"]}
        sizes = [step["bytes"] for step in outcome["steps"]]
        assert sizes == sorted(sizes)
        assert outcome["steps"][-1]["done"]
        assert 98 < outcome["steps"][-1]["percentComplete"] <= 100

    def test_byte_ranges(self, pixels: Any, large: FileDataset, stored: bytes) -> None:
        """L-5: bytes of several answers are put together and parsed as one (M-6, F-7, H-2)."""
        sizes = {"initialChunkSize": 20_000, "chunkSize": 30_000}
        outcome = pixels(large, retrieve=sizes, ranges=[0, 1, -1])
        assert bytes_of(outcome["pixels"]) == stored
        assert outcome["transferSyntax"] == HTJ2K
        (first, second, last) = outcome["steps"]
        assert first["bytes"] < second["bytes"] < last["bytes"] == len(stored)
        assert (first["extractDone"], last["extractDone"]) == (False, True)
        assert len(stored) < outcome["totalBytes"] < len(stored) + 1000
        assert first["percentComplete"] == pytest.approx(20_000 / outcome["totalBytes"] * 100)

    def test_byte_ranges_of_uncompressed_frames(self, pixels: Any, large: FileDataset) -> None:
        sizes = {"initialChunkSize": 65536, "chunkSize": 65536}
        accept = 'multipart/related; type="application/octet-stream"'
        outcome = pixels(large, accept, retrieve=sizes, ranges=[0, 1, 2, -1])
        assert bytes_of(outcome["pixels"]) == large.PixelData
        assert outcome["transferSyntax"] == ELE

    @pytest.mark.parametrize("streaming", [False, True])
    @pytest.mark.parametrize("named", ["image/jhc", "image/jphc"])
    def test_arguments_in_the_address(
        self, pixels: Any, large: FileDataset, stored: bytes, named: str, streaming: bool
    ) -> None:
        """L-6: then it sends no Accept of its own (A-1, A-8)."""
        retrieve = {"urlArguments": f"accept={named}", "streaming": streaming}
        outcome = pixels(large, "text/nothing", retrieve=retrieve)
        assert bytes_of(outcome["pixels"]) == stored
        assert outcome["transferSyntax"] == HTJ2K

    def test_another_word_for_frames(self, javascript: Clients, small_demo: Demo, file: FileDataset) -> None:
        outcome = javascript.call(
            cornerstone="pixels",
            uri=url_of(small_demo, file, "/frames/1"),
            accept=ANY_SYNTAX,
            retrieve={"framesPath": "/jlsThumbnail/"},
        )
        assert outcome["status"] == 404

    def test_its_view_of_the_metadata(self, javascript: Clients, small_demo: Demo, file: FileDataset) -> None:
        """L-21, J-3, J-4: what it draws by."""
        (metadata,) = small_demo.session.get(url_of(small_demo, file, "/metadata"), timeout=30).json()
        types = [
            "imagePlaneModule",
            "imagePixelModule",
            "voiLutModule",
            "modalityLutModule",
            "transferSyntax",
        ]
        types.append("imageUrlModule")
        seen = javascript.call(
            cornerstone="modules",
            uri=url_of(small_demo, file, "/frames/1"),
            metadata=metadata,
            types=types,
        )
        assert seen["imagePlaneModule"]["imagePositionPatient"] == list(file.ImagePositionPatient)
        assert seen["imagePlaneModule"]["pixelSpacing"] == list(file.PixelSpacing)
        pixel = seen["imagePixelModule"]
        assert (pixel["rows"], pixel["columns"], pixel["bitsStored"]) == (128, 128, 16)
        assert pixel["photometricInterpretation"] == "MONOCHROME2"
        assert seen["voiLutModule"]["windowCenter"] == [40, -600]
        assert seen["modalityLutModule"]["rescaleSlope"] == 1
        assert seen["transferSyntax"]["transferSyntaxUID"] == HTJ2K
        for kind in ("rendered", "thumbnail"):
            picture = small_demo.session.get(seen["imageUrlModule"][kind], timeout=30)
            assert picture.headers["Content-Type"] == "image/jpeg"

    def test_its_decoder_gives_the_pixels_of_the_file(
        self, javascript: Clients, large: FileDataset, stored: bytes
    ) -> None:
        outcome = javascript.call(cornerstone="decode", codestream=b64encode(stored).decode())
        frame = outcome["frame"]
        assert (frame["width"], frame["height"], frame["isSigned"]) == (512, 512, True)
        assert bytes_of(outcome["pixels"]) == large.PixelData

    def test_its_decoder_takes_resolution_levels_alone(
        self, javascript: Clients, small_demo: Demo, large: FileDataset, stored: bytes
    ) -> None:
        """F-11: the first levels of a frame decode to the same small image as all of it."""
        url = url_of(small_demo, large, "/frames/1?endLevel=2")
        answer = small_demo.session.get(url, headers={"Accept": "image/jphc"}, timeout=30)
        assert answer.status_code == 200
        assert len(answer.content) < len(stored) / 3
        left_out = decompositions(stored) - 2
        small, whole = (
            javascript.call(cornerstone="decode", codestream=b64encode(data).decode(), level=left_out)
            for data in (answer.content, stored)
        )
        assert small == whole
        assert len(bytes_of(small["pixels"])) == len(large.PixelData) >> (2 * left_out)
