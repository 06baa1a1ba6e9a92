"""Real clients and the requests that real viewers send, over a real socket (dicomweb.md section 8)."""

from email import message_from_bytes
from email.message import Message
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from imagecodecs import htj2k_decode
from PIL import Image
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames

from .running import Demo

SYNTHETIC_ROOT = "1.2.826.0.1.3680043.10.1443.77"
SYNTHETIC_STUDY, SYNTHETIC_SERIES = f"{SYNTHETIC_ROOT}.1", f"{SYNTHETIC_ROOT}.2"

OHIF_FRAME = "multipart/related; type=application/octet-stream; transfer-syntax=*"
AWS_OHIF_FRAME = ", ".join(
    f"multipart/related; type={kind}; transfer-syntax=1.2.840.10008.1.2{rest}"
    for kind, rest in (
        ("image/jphc", ".4.202"),
        ("image/jp2", ".4.90"),
        ("image/jpeg", ".4.50"),
        ("application/octet-stream", ".1"),
    )
)
OHIF_LIST = (
    "/studies?limit=101&offset=0&fuzzymatching=false&includefield=00081030%2C00080060%2C00080090%2C00100030"
)
WEASIS_LIST = (
    "/studies?&includefield=00080020%2C00080030%2C00080050%2C00080061%2C00080090%2C00100010%2C00100020"
    "%2C00100021%2C00100030%2C00100040%2C0020000D%2C00200010%2C00081030"
)


@pytest.fixture
def client(small_demo: Demo) -> DICOMwebClient:
    return DICOMwebClient(url=small_demo.base)


def parts_of(answer: requests.Response) -> list[Message]:
    head = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode()
    message = message_from_bytes(head + answer.content)
    assert message.is_multipart()
    return list(message.get_payload())


def get(demo: Demo, path: str, accept: str | None = None) -> requests.Response:
    return demo.session.get(demo.base + path, headers={"Accept": accept} if accept else {}, timeout=60)


def of_the_loop() -> tuple[str, str, str]:
    """Study, series and instance UID of a colour loop of 30 frames, stored as JPEG baseline."""
    file = get_testdata_file("examples_ybr_color.dcm", download=False)
    if file is None:
        pytest.skip("this pydicom bundles no examples_ybr_color.dcm")
    loop = dcmread(file, stop_before_pixels=True)
    return loop.StudyInstanceUID, loop.SeriesInstanceUID, loop.SOPInstanceUID


class TestDicomwebClient:
    def test_searches(self, client: DICOMwebClient) -> None:
        studies = [Dataset.from_json(row) for row in client.search_for_studies()]
        assert SYNTHETIC_STUDY in {study.StudyInstanceUID for study in studies}
        series = client.search_for_series(SYNTHETIC_STUDY)
        assert [Dataset.from_json(row).SeriesInstanceUID for row in series] == [SYNTHETIC_SERIES]
        instances = client.search_for_instances(SYNTHETIC_STUDY, SYNTHETIC_SERIES)
        assert [Dataset.from_json(row).InstanceNumber for row in instances] == list(range(1, 13))

    def test_pages_until_an_empty_page(self, client: DICOMwebClient) -> None:
        found: list[str] = []
        while page := client.search_for_instances(SYNTHETIC_STUDY, limit=5, offset=len(found)):
            found += [row["00080018"]["Value"][0] for row in page]
        assert len(found) == len(set(found)) == 12

    def test_metadata_become_datasets(self, client: DICOMwebClient) -> None:
        metadata = client.retrieve_series_metadata(SYNTHETIC_STUDY, SYNTHETIC_SERIES)
        datasets = [Dataset.from_json(row, lambda *_: b"") for row in metadata]
        assert [int(dataset.InstanceNumber) for dataset in datasets] == list(range(1, 13))
        assert datasets[0].PatientName == "SYNTHETIC^CT"
        assert list(datasets[0].WindowCenter) == [40, -600]

    @pytest.mark.parametrize("syntax", ["*", "1.2.840.10008.1.2.1"])
    def test_instances_equal_the_files(self, client: DICOMwebClient, small_folder: Path, syntax: str) -> None:
        served = client.retrieve_series(
            SYNTHETIC_STUDY, SYNTHETIC_SERIES, media_types=(("application/dicom", syntax),)
        )
        files = [dcmread(path) for path in sorted((small_folder / "ct").glob("*.dcm"))]
        assert [d.SOPInstanceUID for d in served] == [f.SOPInstanceUID for f in files]
        if syntax != "*":
            for dataset, file in zip(served, files, strict=True):
                assert np.array_equal(dataset.pixel_array, file.pixel_array)
                assert dataset.PixelSpacing == file.PixelSpacing

    def test_frames_and_bulk_data_with_the_default_accept(
        self, client: DICOMwebClient, small_folder: Path
    ) -> None:
        file = dcmread(small_folder / "ct" / "003.dcm")
        (frame,) = client.retrieve_instance_frames(
            SYNTHETIC_STUDY, SYNTHETIC_SERIES, file.SOPInstanceUID, [1]
        )
        assert frame == file.PixelData
        (row,) = (client.retrieve_instance_metadata(SYNTHETIC_STUDY, SYNTHETIC_SERIES, file.SOPInstanceUID),)
        bulk = client.retrieve_bulkdata(row["7FE00010"]["BulkDataURI"])
        assert bulk == [file.PixelData]

    def test_rendered(self, client: DICOMwebClient, small_folder: Path) -> None:
        file = dcmread(small_folder / "ct" / "001.dcm")
        image = client.retrieve_instance_rendered(
            SYNTHETIC_STUDY, SYNTHETIC_SERIES, file.SOPInstanceUID, media_types=("image/png",)
        )
        assert image.startswith(b"\x89PNG")

    @pytest.mark.parametrize("kind", ["png", "jpeg", "gif"])
    def test_rendered_kinds_and_parameters(self, client: DICOMwebClient, kind: str) -> None:
        """L-14."""
        where = (SYNTHETIC_STUDY, SYNTHETIC_SERIES, f"{SYNTHETIC_ROOT}.3.1")
        params = {"viewport": "64,32", "window": "40,400,linear"}
        wanted = (f"image/{kind}",)
        for image in (
            client.retrieve_instance_rendered(*where, media_types=wanted, params=params),
            client.retrieve_instance_frames_rendered(*where, [1], media_types=wanted, params=params),
        ):
            opened = Image.open(BytesIO(image))
            assert (opened.format, opened.size) == (kind.upper(), (32, 32))

    def test_quality_of_what_is_rendered_without_a_type(self, client: DICOMwebClient) -> None:
        where = (SYNTHETIC_STUDY, SYNTHETIC_SERIES, f"{SYNTHETIC_ROOT}.3.1")
        coarse, fine = (
            client.retrieve_instance_rendered(*where, params={"quality": quality}) for quality in (10, 95)
        )
        assert coarse.startswith(b"\xff\xd8")
        assert len(coarse) < len(fine)

    def test_iterates_a_study(self, client: DICOMwebClient) -> None:
        assert len(list(client.iter_study(SYNTHETIC_STUDY))) == 12

    @pytest.mark.parametrize(
        ("wanted", "decode"),
        [
            ((("application/octet-stream", "1.2.840.10008.1.2.1"),), None),
            (("application/octet-stream",), None),
            ((("image/*", "*"),), htj2k_decode),
        ],
    )
    def test_frames_of_types(
        self, small_demo: Demo, small_folder: Path, wanted: tuple[Any, ...], decode: Any
    ) -> None:
        """L-13: whole and streamed, each the same bytes."""
        client = DICOMwebClient(url=small_demo.base, chunk_size=1000)
        file = dcmread(small_folder / "ct" / "003.dcm")
        where = (SYNTHETIC_STUDY, SYNTHETIC_SERIES, file.SOPInstanceUID, [1])
        (frame,) = client.retrieve_instance_frames(*where, media_types=wanted)
        assert list(client.iter_instance_frames(*where, media_types=wanted)) == [frame]
        samples = decode(bytes(frame)) if decode else np.frombuffer(frame, "<i2")
        assert np.array_equal(samples.reshape(128, 128), file.pixel_array)

    def test_frames_of_a_loop_in_any_order(self, client: DICOMwebClient) -> None:
        where = of_the_loop()
        single = {n: client.retrieve_instance_frames(*where, [n])[0] for n in (30, 2, 9)}
        assert client.retrieve_instance_frames(*where, [30, 2, 9]) == [single[n] for n in (30, 2, 9)]
        stored = (("image/jpeg", "1.2.840.10008.1.2.4.50"),)
        frames = client.retrieve_instance_frames(*where, [2, 1], media_types=stored)
        assert all(frame.startswith(b"\xff\xd8") for frame in frames)
        assert len(frames) == 2
        assert frames[0] != frames[1]

    @pytest.mark.parametrize("syntax", [None, "*", "1.2.840.10008.1.2.1"])
    def test_an_instance_whole_and_streamed(
        self, small_demo: Demo, small_folder: Path, syntax: str | None
    ) -> None:
        """L-12: the streaming variant parses chunk by chunk."""
        client = DICOMwebClient(url=small_demo.base, chunk_size=1000)
        file = dcmread(small_folder / "ct" / "003.dcm")
        wanted = (("application/dicom", syntax),) if syntax else ("application/dicom",)
        whole = client.retrieve_instance(
            SYNTHETIC_STUDY, SYNTHETIC_SERIES, file.SOPInstanceUID, media_types=wanted
        )
        streamed = list(client.iter_series(SYNTHETIC_STUDY, SYNTHETIC_SERIES, media_types=wanted))
        assert [one.SOPInstanceUID for one in streamed] == [f"{SYNTHETIC_ROOT}.3.{n}" for n in range(1, 13)]
        for served in (whole, streamed[2]):
            stored = served.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.202"
            assert stored == (syntax == "*")
            data = next(generate_frames(served.PixelData)) if stored else served.PixelData
            samples = htj2k_decode(data) if stored else np.frombuffer(data, "<i2")
            assert np.array_equal(samples.reshape(128, 128), file.pixel_array)

    def test_bulk_data_of_a_type_and_in_ranges(self, small_demo: Demo, small_folder: Path) -> None:
        """L-13, B-5; a range is one of the whole body, so all of it is what can be parsed."""
        client = DICOMwebClient(url=small_demo.base, chunk_size=1000)
        file = dcmread(small_folder / "ct" / "003.dcm")
        url = (
            f"{small_demo.base}/studies/{SYNTHETIC_STUDY}/series/{SYNTHETIC_SERIES}/instances/"
            f"{file.SOPInstanceUID}/bulkdata/7FE00010"
        )
        octets = ("application/octet-stream",)
        assert client.retrieve_bulkdata(url, media_types=octets) == [file.PixelData]
        assert list(client.iter_bulkdata(url, media_types=octets)) == [file.PixelData]
        accept = {"Accept": 'multipart/related; type="application/octet-stream"'}
        whole = small_demo.session.get(url, headers=accept, timeout=30)
        last = int(whole.headers["Content-Length"]) - 1
        assert client.retrieve_bulkdata(url, media_types=octets, byte_range=(0, last + 100)) == [
            file.PixelData
        ]


class TestSlicer:
    """3D Slicer's DICOMweb browser, which sits on `dicomweb-client` (L-18)."""

    def test_lists_until_an_empty_page(self, client: DICOMwebClient) -> None:
        found: list[str] = []
        while page := client.search_for_studies(fields=["StudyDescription"], offset=len(found)):
            found += [row["0020000D"]["Value"][0] for row in page]
        assert len(found) == len(set(found)) > 5

    def test_loads_a_series(self, small_demo: Demo, small_folder: Path) -> None:
        client = DICOMwebClient(url=small_demo.base, chunk_size=64 * 1024)
        (series,) = client.search_for_series(SYNTHETIC_STUDY, fields=["SeriesNumber"])
        assert series["00200011"]["Value"] == [1]
        served = client.iter_series(SYNTHETIC_STUDY, series["0020000E"]["Value"][0])
        files = sorted((small_folder / "ct").glob("*.dcm"))
        assert [one.PixelData for one in served] == [dcmread(path).PixelData for path in files]


class TestOhif:
    def test_study_list(self, small_demo: Demo) -> None:
        answer = get(small_demo, OHIF_LIST, "application/dicom+json")
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "application/dicom+json"
        needed = {"0020000D", "00080020", "00080030", "00080050", "00080090", "00081030"}
        needed |= {"00100010", "00100020", "00100030", "00201206", "00201208"}
        assert all(needed <= set(row) for row in answer.json())
        # OHIF reads ModalitiesInStudy.Value.length of each study and fails on an element without Value
        assert all(row["00080061"]["Value"] for row in answer.json() if "00080061" in row)

    @pytest.mark.parametrize(
        "key",
        [
            "PatientName=*synth*",
            "00100020=*SYNTH*",
            "AccessionNumber=*SYN*",
            "StudyDescription=*CHEST*",
            "ModalitiesInStudy=CT%2CMR",
            "StudyDate=19700102-20240311",
            f"StudyInstanceUID=1.2.3%5C{SYNTHETIC_STUDY}",
        ],
    )
    def test_study_list_filters(self, small_demo: Demo, key: str) -> None:
        rows = get(small_demo, f"{OHIF_LIST}&{key}").json()
        assert SYNTHETIC_STUDY in {row["0020000D"]["Value"][0] for row in rows}

    def test_opening_a_study(self, small_demo: Demo) -> None:
        path = f"/studies/{SYNTHETIC_STUDY}/series?includefield=00080021%2C00080031%2C0008103E%2C00200011"
        (row,) = get(small_demo, path).json()
        assert {"0020000E", "00080060", "00200011", "00201209", "0008103E", "00080021"} <= set(row)
        assert row["00201209"]["Value"] == [12]
        both = "application/dicom+json, multipart/related; type=application/octet-stream; transfer-syntax=*"
        metadata = get(small_demo, f"/studies/{SYNTHETIC_STUDY}/series/{SYNTHETIC_SERIES}/metadata", both)
        assert metadata.headers["Content-Type"] == "application/dicom+json"
        assert metadata.headers["Content-Encoding"] == "gzip"
        assert len(metadata.json()) == 12

    @pytest.mark.parametrize(
        ("accept", "syntax", "media_type"),
        [
            (OHIF_FRAME, "1.2.840.10008.1.2.4.202", "image/jphc"),
            (OHIF_FRAME.replace("*", '"*"'), "1.2.840.10008.1.2.4.202", "image/jphc"),
            (
                'multipart/related; type="image/jphc"; transfer-syntax="1.2.840.10008.1.2.4.202"',
                "1.2.840.10008.1.2.4.202",
                "image/jphc",
            ),
            (AWS_OHIF_FRAME, "1.2.840.10008.1.2.4.202", "image/jphc"),
            (
                'multipart/related; type="application/octet-stream"',
                "1.2.840.10008.1.2.1",
                "application/octet-stream",
            ),
        ],
    )
    def test_frames(self, small_demo: Demo, accept: str, syntax: str, media_type: str) -> None:
        rows = get(small_demo, f"/studies/{SYNTHETIC_STUDY}/instances?InstanceNumber=7").json()
        url = rows[0]["00081190"]["Value"][0]
        answer = small_demo.session.get(f"{url}/frames/1", headers={"Accept": accept}, timeout=60)
        assert answer.status_code == 200
        assert int(answer.headers["Content-Length"]) == len(answer.content)
        (part,) = parts_of(answer)
        assert part.get_content_type() == media_type
        assert part.get_param("transfer-syntax") == syntax

    @pytest.mark.parametrize("kind", ["thumbnail", "rendered"])
    @pytest.mark.parametrize("level", ["", f"/series/{SYNTHETIC_SERIES}"])
    def test_thumbnails_for_img_elements(self, small_demo: Demo, kind: str, level: str) -> None:
        answer = get(small_demo, f"/studies/{SYNTHETIC_STUDY}{level}/{kind}?accept=image%2Fjpeg", "*/*")
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "image/jpeg"

    def test_bulk_data_of_a_palette(self, small_demo: Demo) -> None:
        if get_testdata_file("examples_palette.dcm", download=False) is None:
            pytest.skip("this pydicom bundles no examples_palette.dcm")
        (study,) = {
            row["00081190"]["Value"][0]
            for row in get(small_demo, "/instances?includefield=00280004&limit=500").json()
            if row.get("00280004", {}).get("Value") == ["PALETTE COLOR"]
        }
        (metadata,) = small_demo.session.get(f"{study}/metadata", timeout=60).json()
        uris = [e["BulkDataURI"] for e in metadata.values() if "BulkDataURI" in e]
        assert uris
        for uri in uris:
            answer = small_demo.session.get(uri, headers={"Accept": "*/*"}, timeout=60)
            assert answer.status_code == 200
            assert answer.content

    def test_preflight_from_a_loopback_origin(self, small_demo: Demo) -> None:
        headers = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "GET"}
        answer = requests.options(f"{small_demo.base}/studies", headers=headers, timeout=10)
        assert answer.status_code in (200, 204)
        assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
        assert answer.headers["Access-Control-Max-Age"] == "86400"


class TestWeasis:
    def test_search_and_series_download(self, small_demo: Demo) -> None:
        answer = get(small_demo, WEASIS_LIST)
        assert answer.status_code == 200
        (series,) = get(small_demo, f"/series?0020000E={SYNTHETIC_SERIES}&includefield=00081030").json()
        url = series["00081190"]["Value"][0]
        whole = small_demo.session.get(
            url,
            headers={"Accept": 'multipart/related;type="application/dicom";transfer-syntax=*'},
            timeout=60,
        )
        assert len(parts_of(whole)) == 12

    @pytest.mark.parametrize(
        "keys",
        [
            "00100020=SYNTH-0001",
            "00080020=20240301-20240331&00080060=CT",
            "00100010=SYNTHETIC*",
            "00080050=SYN-1",
        ],
    )
    def test_keys_as_tags(self, small_demo: Demo, keys: str) -> None:
        """L-15: keys stand before `includefield`, all as hexadecimal tags."""
        rows = get(small_demo, WEASIS_LIST.replace("?&", f"?{keys}&") + "&limit=50&offset=0").json()
        assert SYNTHETIC_STUDY in {row["0020000D"]["Value"][0] for row in rows}

    def test_issuer_and_instance(self, small_demo: Demo) -> None:
        assert get(small_demo, WEASIS_LIST.replace("?&", "?00100021=NOBODY&")).json() == []
        (row,) = get(small_demo, f"/instances?00080018={SYNTHETIC_ROOT}.3.7").json()
        assert row["00200013"]["Value"] == [7]

    def test_fallback_where_there_is_no_thumbnail(self, small_demo: Demo) -> None:
        """L-17: the number of instances, then the middle one, then it rendered."""
        (series,) = get(small_demo, f"/series?0020000E={SYNTHETIC_SERIES}&includefield=00201209").json()
        half = series["00201209"]["Value"][0] // 2
        url = series["00081190"]["Value"][0]
        (row,) = small_demo.session.get(
            f"{url}/instances?includefield=00080018&limit=1&offset={half}", timeout=30
        ).json()
        assert row["00200013"]["Value"] == [half + 1]
        image = small_demo.session.get(
            f"{url}/instances/{row['00080018']['Value'][0]}/rendered?viewport=256%2C256",
            headers={"Accept": "image/jpeg"},
            timeout=30,
        )
        assert Image.open(BytesIO(image.content)).size == (256, 256)

    def test_thumbnail_of_a_series(self, small_demo: Demo) -> None:
        path = f"/studies/{SYNTHETIC_STUDY}/series/{SYNTHETIC_SERIES}/thumbnail?viewport=256%2C256"
        assert get(small_demo, path, "image/jpeg").headers["Content-Type"] == "image/jpeg"

    def test_report_without_image_is_406(self, small_demo: Demo) -> None:
        if get_testdata_file("reportsi.dcm", download=False) is None:
            pytest.skip("this pydicom bundles no reportsi.dcm")
        (row, *_) = get(small_demo, "/series?Modality=SR").json()
        answer = small_demo.session.get(f"{row['00081190']['Value'][0]}/thumbnail", timeout=60)
        assert answer.status_code == 406


class TestDcm4che:
    """`wadors` and `stowrs` of dcm4che's tools, which send no Accept (L-19, L-20)."""

    @pytest.mark.parametrize(
        ("path", "accept", "media_type"),
        [
            (f"/series/{SYNTHETIC_SERIES}/instances/{SYNTHETIC_ROOT}.3.1", "*", "multipart/related"),
            (f"/series/{SYNTHETIC_SERIES}", "multipart/related;type=application/dicom", "multipart/related"),
            (
                f"/series/{SYNTHETIC_SERIES}/instances/{SYNTHETIC_ROOT}.3.1/frames/1",
                "multipart/related;type=application/octet-stream;transfer-syntax=*",
                "multipart/related",
            ),
            ("/metadata", "application/dicom%2Bjson", "application/dicom+json"),
            ("/metadata", "*", "application/dicom+json"),
            ("/rendered", "image/png", "image/png"),
        ],
    )
    def test_accept_in_the_address(self, small_demo: Demo, path: str, accept: str, media_type: str) -> None:
        url = f"{small_demo.base}/studies/{SYNTHETIC_STUDY}{path}?accept={accept}"
        # None keeps requests from sending its own
        answer = requests.get(url, headers={"Accept": None}, timeout=60)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].split(";")[0] == media_type
        if media_type == "multipart/related":
            assert parts_of(answer)

    def test_storing_is_answered(self, small_demo: Demo, small_folder: Path) -> None:
        body = b"".join(
            [
                b"--myboundary\r\nContent-Type: application/dicom\r\n\r\n",
                (small_folder / "ct" / "001.dcm").read_bytes(),
                b"\r\n--myboundary--\r\n",
            ]
        )
        kind = 'multipart/related; type="application/dicom"; boundary=myboundary'
        answer = small_demo.session.post(
            f"{small_demo.base}/studies", data=body, headers={"Content-Type": kind}, timeout=60
        )
        assert answer.status_code in (200, 405)
        if answer.status_code == 405:
            assert {"GET", "HEAD", "OPTIONS"} <= set(answer.headers["Allow"].split(", "))
            assert answer.json()["message"]
        # H-9: the connection, whose body was read or not, serves the next request
        assert get(small_demo, "/studies?limit=1").status_code == 200
