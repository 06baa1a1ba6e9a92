"""Real clients and the requests that real viewers send, over a real socket (dicomweb.md section 8)."""

from email import message_from_bytes
from email.message import Message
from pathlib import Path

import numpy as np
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from .running import Demo

SYNTHETIC_STUDY = "1.2.826.0.1.3680043.10.1443.77.1"
SYNTHETIC_SERIES = "1.2.826.0.1.3680043.10.1443.77.2"

OHIF_FRAME = "multipart/related; type=application/octet-stream; transfer-syntax=*"
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

    def test_iterates_a_study(self, client: DICOMwebClient) -> None:
        assert len(list(client.iter_study(SYNTHETIC_STUDY))) == 12


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

    def test_thumbnail_of_a_series(self, small_demo: Demo) -> None:
        path = f"/studies/{SYNTHETIC_STUDY}/series/{SYNTHETIC_SERIES}/thumbnail?viewport=256%2C256"
        assert get(small_demo, path, "image/jpeg").headers["Content-Type"] == "image/jpeg"

    def test_report_without_image_is_406(self, small_demo: Demo) -> None:
        if get_testdata_file("reportsi.dcm", download=False) is None:
            pytest.skip("this pydicom bundles no reportsi.dcm")
        (row, *_) = get(small_demo, "/series?Modality=SR").json()
        answer = small_demo.session.get(f"{row['00081190']['Value'][0]}/thumbnail", timeout=60)
        assert answer.status_code == 406
