"""Every switch does what it says, over HTTP, and can be changed while the emulator runs."""

import threading
import time
import zlib
from email.utils import parsedate_to_datetime

import pytest
import requests
from botocore.exceptions import ClientError

from dicomweb_gateway.dicom.codestream import parse_codestream
from dicomweb_gateway.dicom.jp2_boxes import is_boxed, unbox
from dicomweb_gateway.emulator.config import EmulatorConfig, Faults
from tests.emulator.files import ct_slice, pixels_of, save
from tests.emulator.running import instances_of, running

OFF = {
    "latency_ms": 0,
    "failure_rate": 0,
    "failure_operations": [],
    "corrupt_rate": 0,
    "throttle": False,
    "throttle_scale": 1,
    "rules": [],
    "seed": None,
    "clock_ahead": 0,
    "conflict": 0,
    "boxed": False,
    "padded": False,
    "multi_level_checksums": False,
    "without_stored_syntax": False,
    "pixel_data_null": False,
    "event_loss": 0,
    "event_duplicates": 0,
    "events_reordered": False,
    "events_as_documented": False,
}


@pytest.fixture
def faults(loaded):
    def switch(**changes):
        return loaded.emulator.side("PUT", "faults", json=changes)

    yield switch
    assert switch(**OFF) == OFF


def first_instance(loaded):
    document = loaded.emulator.document(loaded.datastore_id, loaded.image_set_id)
    return next(iter(instances_of(document).values()))


def first_frame(loaded):
    frame_id = first_instance(loaded)["ImageFrames"][0]["ID"]
    return loaded.emulator.frame(loaded.datastore_id, loaded.image_set_id, frame_id)


def test_switches_are_off_at_the_start(loaded):
    assert loaded.emulator.side("GET", "faults") == OFF


def test_failures(loaded, faults):
    faults(failure_rate=1, failure_operations=["GetImageFrame"])
    with pytest.raises(ClientError) as caught:
        first_frame(loaded)
    assert caught.value.response["Error"]["Code"] == "InternalServerException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500


def test_throttling_lets_the_burst_through(loaded, faults):
    faults(throttle=True, throttle_scale=0.001)
    url = f"{loaded.emulator.url}/datastore"
    replies = [requests.get(url, timeout=10) for _ in range(3)]
    assert [r.status_code for r in replies] == [200, 429, 429]
    assert replies[-1].headers["x-amzn-ErrorType"] == "ThrottlingException"


def test_still_processing_as_often_as_asked(loaded, faults):
    faults(conflict=2)
    image_set = f"/datastore/{loaded.datastore_id}/imageSet/{loaded.image_set_id}"
    url = f"{loaded.emulator.url}{image_set}/getImageSetMetadata"
    replies = [requests.post(url, timeout=10) for _ in range(4)]
    assert [r.status_code for r in replies] == [409, 409, 200, 200]
    assert replies[0].headers["x-amzn-ErrorType"] == "ConflictException"


def test_latency_is_served_in_parallel(loaded, faults):
    faults(latency_ms=400)
    loaded.emulator.side("POST", "counters/reset")
    url = f"{loaded.emulator.url}/datastore/{loaded.datastore_id}"
    threads = [threading.Thread(target=requests.get, args=(url,), kwargs={"timeout": 30}) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counted = loaded.emulator.side("GET", "counters")["operations"]["GetDatastore"]
    assert counted["requests"] == 32
    assert counted["maxInFlight"] > 8
    assert counted["inFlight"] == 0


def test_boxed_frames_have_boxes_no_tlm_and_no_part_count(loaded, faults):
    bare = first_frame(loaded)
    faults(boxed=True)
    boxed = first_frame(loaded)
    assert not is_boxed(bare)
    assert is_boxed(boxed)
    stream = unbox(boxed)
    facts = parse_codestream(stream)
    assert not facts.has_tlm
    assert [stream[part.start + 11] for part in facts.tile_parts] == [0] * len(facts.tile_parts)


def test_corrupt_frames_are_cut(loaded, faults):
    whole = first_frame(loaded)
    faults(corrupt_rate=1)
    assert first_frame(loaded) == whole[: len(whole) // 2]


def test_padded_text(loaded, faults):
    faults(padded=True)
    document = loaded.emulator.document(loaded.datastore_id, loaded.image_set_id)
    [series] = document["Study"]["Series"].values()
    assert series["DICOM"]["SeriesNumber"] == "1 "
    assert document["Patient"]["DICOM"]["PatientName"] == "Doe^Jane"
    assert document["Study"]["DICOM"]["StudyID"] == "7 "


def test_documents_without_stored_syntax_and_with_pixel_data(loaded, faults):
    assert "PixelData" not in first_instance(loaded)["DICOM"]
    faults(without_stored_syntax=True, pixel_data_null=True)
    instance = first_instance(loaded)
    assert "StoredTransferSyntaxUID" not in instance
    assert instance["DICOM"]["PixelData"] is None


@pytest.mark.parametrize(
    "changes",
    [
        {"nonsense": 1},
        {"latency_ms": "fast"},
        {"failure_rate": 2},
        {"throttle": 1},
        {"conflict": 0.5},
        {"seed": "x"},
        {"rules": ["drop"]},
        {"rules": [{"kind": "drop", "operations": ["GetEverything"]}]},
        {"rules": [{"kind": "late", "wait": 1}, {"kind": "nonsense"}]},
    ],
)
def test_unusable_switches_change_nothing(loaded, changes):
    reply = requests.put(f"{loaded.emulator.url}/_emulator/faults", json=changes, timeout=10)
    assert reply.status_code == 400
    assert loaded.emulator.side("GET", "faults") == OFF


def ask_frame(loaded):
    """(status, error type, body) of one GetImageFrame, without a client that tries again."""
    frame_id = first_instance(loaded)["ImageFrames"][0]["ID"]
    image_set = f"/datastore/{loaded.datastore_id}/imageSet/{loaded.image_set_id}"
    url = f"{loaded.emulator.url}{image_set}/getImageFrame"
    reply = requests.post(url, json={"imageFrameId": frame_id}, timeout=10)
    return reply.status_code, reply.headers.get("x-amzn-ErrorType"), reply.content, reply.headers


@pytest.mark.parametrize(
    ("rule", "status", "name"),
    [
        ({"kind": "throttle"}, 429, "ThrottlingException"),
        ({"kind": "error"}, 500, "InternalServerException"),
        ({"kind": "error", "status": 503}, 503, None),
        ({"kind": "conflict"}, 409, "ConflictException"),
        ({"kind": "denied"}, 403, "AccessDeniedException"),
        ({"kind": "expired"}, 403, "ExpiredTokenException"),
    ],
)
def test_refusals_of_one_operation(loaded, faults, rule, status, name):
    faults(rules=[{**rule, "operations": ["GetImageFrame"]}])
    assert ask_frame(loaded)[:2] == (status, name)
    assert loaded.emulator.client.get_datastore(datastoreId=loaded.datastore_id)


def test_a_throttled_answer_says_when_to_come_again(loaded, faults):
    faults(rules=[{"kind": "throttle", "wait": 3, "operations": ["GetImageFrame"]}])
    assert ask_frame(loaded)[3]["Retry-After"] == "3"


def test_a_rule_for_some_calls_and_one_for_some_time_end(loaded, faults):
    frame_only = {"kind": "error", "operations": ["GetImageFrame"]}
    faults(rules=[{**frame_only, "calls": 2}])
    assert [ask_frame(loaded)[0] for _ in range(3)] == [500, 500, 200]
    faults(rules=[{**frame_only, "seconds": 0.2}])
    assert ask_frame(loaded)[0] == 500
    time.sleep(0.2)
    assert ask_frame(loaded)[0] == 200


def test_the_same_seed_throws_the_same_dice(loaded, faults):
    rules = [{"kind": "error", "rate": 0.5, "operations": ["GetImageFrame"]}]

    def sequence():
        faults(rules=rules, seed=7)
        return [ask_frame(loaded)[0] for _ in range(16)]

    first = sequence()
    assert first == sequence()
    assert set(first) == {200, 500}


def test_bits_are_turned_over_as_many_as_asked(loaded, faults):
    whole = ask_frame(loaded)[2]
    faults(rules=[{"kind": "flip", "bits": 3, "operations": ["GetImageFrame"]}])
    changed = ask_frame(loaded)[2]
    assert len(changed) == len(whole)
    assert sum((a ^ b).bit_count() for a, b in zip(whole, changed, strict=True)) == 3


def test_rules_are_counted_by_kind(loaded, faults):
    faults(rules=[{"kind": "conflict", "calls": 2, "operations": ["GetImageFrame"]}])
    loaded.emulator.side("POST", "counters/reset")
    for _ in range(3):
        ask_frame(loaded)
    counted = loaded.emulator.side("GET", "counters")["operations"]["GetImageFrame"]
    assert counted["faults"] == {"conflict": 2}
    assert counted["statuses"] == {"200": 1, "409": 2}


def test_only_calls_of_one_key_are_struck(loaded, faults):
    faults(rules=[{"kind": "expired", "key": "old"}])
    url = f"{loaded.emulator.url}/datastore/{loaded.datastore_id}"

    def status(key):
        headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/x/aws4_request"}
        return requests.get(url, headers=headers, timeout=10).status_code

    assert (status("old"), status("new")) == (403, 200)


@pytest.mark.parametrize("ahead", [1200, -1200])
def test_a_clock_that_is_off_refuses_what_is_signed_by_ours(loaded, faults, ahead):
    faults(clock_ahead=ahead)
    with pytest.raises(ClientError) as caught:
        loaded.emulator.client.get_datastore(datastoreId=loaded.datastore_id)
    assert caught.value.response["Error"]["Code"] == "InvalidSignatureException"
    told = parsedate_to_datetime(caught.value.response["ResponseMetadata"]["HTTPHeaders"]["date"])
    assert abs(told.timestamp() - time.time() - ahead) < 5


def test_settings_that_contradict_are_refused(tmp_path):
    with pytest.raises(ValueError, match="failure_rate"):
        EmulatorConfig(data_dir=tmp_path, failure_rate=1.5)
    with pytest.raises(ValueError, match="lossless_storage_format"):
        EmulatorConfig(data_dir=tmp_path, lossless_storage_format="JPEG")
    with pytest.raises(ValueError, match="no operation"):
        Faults(failure_operations=("GetEverything",))
    assert EmulatorConfig(data_dir=tmp_path, boxed=True).faults == Faults(boxed=True)


def test_several_checksums_smallest_first(tmp_path, source):
    save(ct_slice(1, size=256), source / "1.dcm")
    with running(tmp_path, workers=1, multi_level_checksums=True) as emulator:
        datastore_id = emulator.datastore()
        emulator.load(datastore_id, source)
        [entry] = emulator.image_sets(datastore_id)
        [instance] = instances_of(emulator.document(datastore_id, entry["imageSetId"])).values()
    levels = instance["ImageFrames"][0]["PixelDataChecksumFromBaseToFullResolution"]
    assert [level["Width"] for level in levels] == [64, 128, 256]
    assert levels[-1]["Checksum"] == zlib.crc32(pixels_of(1, 256).tobytes())
    assert len({level["Checksum"] for level in levels}) == 3
