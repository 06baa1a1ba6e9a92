"""What the scripts of the upload page work out, run by Node: checks, requests, what is sent again."""

import json
import zlib
from base64 import b64encode
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import ImplicitVRLittleEndian

from dicomweb_gateway.dicom.multipart import content_type, read_parts
from dicomweb_gateway.dicom.store_response import Outcome, store_response
from tests.emulator.files import ROOT, ct_slice
from tests.stow.parts import part10
from tests.web.scripts import Run

_CHECK = """
const files = %s;
const told = [];
for (const [name, data] of Object.entries(files)) {
  try { told.push([name, await checked(new Blob([Buffer.from(data, "base64")]))]); }
  catch (error) { told.push([name, error.message]); }
}
return Object.fromEntries(told);
"""


def check(run: Run, files: dict[str, bytes]) -> dict[str, Any]:
    """What the page finds in each of `files`: its values, or why it is not sent."""
    packed = {name: b64encode(data).decode() for name, data in files.items()}
    found: dict[str, Any] = run({"upload/checking.js": "checked"}, _CHECK % json.dumps(packed))
    return found


def deflated(dataset: Dataset) -> bytes:
    """`dataset` in Deflated Explicit VR Little Endian."""
    whole = part10(dataset)
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    unpacked = whole[whole.index(b"\x08\x00\x05\x00CS") :]
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    head = bytes(128) + b"DICM\x02\x00\x10\x00UI\x16\x001.2.840.10008.1.2.1.99"
    return head + packer.compress(unpacked) + packer.flush()


def test_what_is_no_dicom_or_not_whole_is_refused_in_words(run: Run) -> None:
    whole = part10(ct_slice(1))
    directory = get_testdata_file("DICOMDIR", download=False)
    assert directory is not None
    index = Path(str(directory)).read_bytes()
    found = check(
        run,
        {
            "empty": b"",
            "text": b"Take two of these before bed.\n" * 20,
            "zip": b"PK\x03\x04" + bytes(300),
            "picture": b"\xff\xd8\xff\xe0" + bytes(300),
            "head only": whole[:200],
            "cut off": whole[:-10],
            "no study": part10(ct_slice(1, StudyInstanceUID=None)),
            "no class": part10(ct_slice(1, SOPClassUID=None)),
            "odd uid": whole.replace(f"{ROOT}.1.1.1".encode(), f"{ROOT}.1x1.1".encode()),
            "index": index,
            "lies": bytes(128) + b"DICM" + b"\x08\x00\x05\x00CS\xff\x00A",
        },
    )
    assert found == {
        "empty": "it is empty",
        "text": "not DICOM",
        "zip": "not DICOM but a ZIP archive: unpack it first",
        "picture": "not DICOM but a JPEG picture",
        "head only": found["head only"],
        "cut off": "it is cut off inside element (7FE0,0010): 10 bytes are missing",
        "no study": "it has no StudyInstanceUID",
        "no class": found["no class"],
        "odd uid": "its SOPInstanceUID is not a valid UID",
        "index": "a DICOMDIR, which only lists files",
        "lies": "it is cut off inside element (0008,0005): 254 bytes are missing",
    }
    assert "SOPClassUID" in found["no class"]
    assert found["head only"].startswith("it ")


def test_whose_a_file_is(run: Run) -> None:
    named = ct_slice(
        1,
        SpecificCharacterSet="ISO_IR 192",
        PatientName="Müller^Jörg=山田^太郎",
        IssuerOfPatientID="HERE",
        StudyDescription="<b>Kopf</b>",
    )
    plain = part10(named)
    implicit = part10(ct_slice(2))
    found = check(
        run,
        {
            "explicit": plain,
            "implicit": _implicit(ct_slice(2)),
            "bare": implicit[implicit.index(b"\x08\x00\x16\x00UI") :],
            "deflated": deflated(named),
        },
    )
    expected = {
        "patientName": "Müller, Jörg = 山田, 太郎",
        "patientId": "P-1",
        "issuer": "HERE",
        "study": f"{ROOT}.1",
        "instance": f"{ROOT}.1.1.1",
        "modality": "CT",
        "date": "20240311",
        "description": "<b>Kopf</b>",
    }
    assert expected.items() <= found["explicit"].items()
    assert expected.items() <= found["deflated"].items()
    for name in ("implicit", "bare"):
        assert found[name]["instance"] == f"{ROOT}.1.1.2"
        assert found[name]["patientName"] == "Doe, Jane"


def _implicit(dataset: Dataset) -> bytes:
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    return part10(dataset)


REAL = (
    "CT_small.dcm",
    "MR_small_bigendian.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "examples_ybr_color.dcm",
    "image_dfl.dcm",
    "rtplan.dcm",
    "test-SR.dcm",
    "liver_1frame.dcm",
    "nested_priv_SQ.dcm",
)


def test_real_files_are_read_as_pydicom_reads_them(run: Run) -> None:
    paths = {name: get_testdata_file(name, download=False) for name in REAL}
    there = {name: Path(str(path)) for name, path in paths.items() if path is not None}
    assert len(there) > 4
    found = check(run, {name: path.read_bytes() for name, path in there.items()})
    for name, path in there.items():
        dataset = dcmread(path)
        if "StudyInstanceUID" not in dataset:
            assert found[name].startswith("it has no "), name
            continue
        told = [found[name][key] for key in ("instance", "study", "patientId")]
        wanted = ("SOPInstanceUID", "StudyInstanceUID", "PatientID")
        assert told == [dataset.get(keyword, "") for keyword in wanted], name


def test_names_in_other_writings(run: Run) -> None:
    names = {
        "ISO_IR 144": "Иванов^Пётр",
        "ISO_IR 13": "ﾔﾏﾀﾞ^ﾀﾛｳ",
        "GB18030": "王^小东",
        "ISO_IR 100": "Äneas^Rüdiger",
    }
    texts = {
        "ISO_IR 144": "iso8859-5",
        "ISO_IR 13": "shift_jis",
        "GB18030": "gb18030",
        "ISO_IR 100": "latin-1",
    }
    cases: list[tuple[str, str]] = [
        (charset, b64encode(name.encode(texts[charset], "ignore")).decode())
        for charset, name in names.items()
    ]
    korean = b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7"
    japanese = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"
    cases.append(("\\ISO 2022 IR 149", b64encode(korean).decode()))
    cases.append(("\\ISO 2022 IR 87", b64encode(japanese).decode()))
    body = f'return {json.dumps(cases)}.map(([set, data]) => textsIn(set)(Buffer.from(data, "base64")));'
    assert run({"upload/texts.js": "textsIn"}, body) == [
        *(name.encode(texts[charset], "ignore").decode(texts[charset]) for charset, name in names.items()),
        "Hong^Gildong=洪^吉洞",
        "Yamada^Tarou=山田^太郎",
    ]


def test_files_are_listed_once_by_patient_and_study(run: Run) -> None:
    files = {
        "a/1.dcm": part10(ct_slice(1)),
        "a/2.dcm": part10(ct_slice(2, study=2)),
        "b/3.dcm": part10(ct_slice(3, PatientID="P-2")),
        "b/again.dcm": part10(ct_slice(1, PatientID="P-9")),
        "notes.txt": b"nothing",
    }
    packed = {name: b64encode(data).decode() for name, data in files.items()}
    body = f"""
    const all = Object.entries({json.dumps(packed)}).map(([path, data]) =>
      ({{ path, file: new Blob([Buffer.from(data, "base64")]) }}));
    async function* named() {{ yield* all; yield all[0]; yield {{ path: "gone/", file: null }}; }}
    const list = new UploadList();
    await list.take(named(), () => {{}});
    const studies = [...list.studies.values()].map((one) => [one.patientId, one.uid, one.figures.files]);
    const {{ refused, again, looked, figures }} = list;
    return {{ studies, refused, again, looked, figures }};
    """
    found = run({"upload/list.js": "UploadList"}, body)
    assert sorted(found["studies"]) == [
        ["P-1", f"{ROOT}.1", 1],
        ["P-1", f"{ROOT}.2", 1],
        ["P-2", f"{ROOT}.1", 1],
    ]
    assert {one["path"]: one["reason"] for one in found["refused"]} == {
        "b/again.dcm": "its SOPInstanceUID is that of a/1.dcm",
        "notes.txt": "not DICOM",
        "gone/": "it cannot be read",
    }
    assert (found["again"], found["looked"]) == (1, 7)
    size = sum(len(files[path]) for path in ("a/1.dcm", "a/2.dcm", "b/3.dcm"))
    assert [found["figures"][name] for name in ("files", "bytes", "listedBytes")] == [3, size, size]


def test_a_request_is_what_the_gateway_reads(run: Run, tmp_path: Any) -> None:
    body = """
    const { type, body } = bodyOf([new Blob(["one"]), new Blob(["\\r\\n--two"])]);
    return [type, Buffer.from(await body.arrayBuffer()).toString("latin1")];
    """
    kind, text = run({"upload/batches.js": "bodyOf"}, body)
    media_type, options = content_type(kind)
    assert (media_type, options["type"]) == ("multipart/related", "application/dicom")
    path = tmp_path / "body"
    path.write_bytes(text.encode("latin-1"))
    with path.open("rb") as file:
        found = []
        for part in read_parts(file, options["boundary"]):
            with part.open(file) as content:
                found.append((part.headers["content-type"], content.read()))
    assert found == [("application/dicom", b"one"), ("application/dicom", b"\r\n--two")]


def test_batches_are_bounded(run: Run) -> None:
    body = """
    const waiting = [5, 5, 30, 1, 1, 1, 1].map((size) => ({ file: { size } }));
    const taken = [];
    while (waiting.length) taken.push(nextBatch(waiting, { files: 3, bytes: 12 }));
    return taken.map((batch) => batch.map((one) => one.file.size));
    """
    assert run({"upload/batches.js": "nextBatch"}, body) == [[5, 5], [30], [1, 1, 1], [1]]


def test_bytes_are_counted_through_every_state(run: Run) -> None:
    """One of 10 and one of 30 bytes: half of both sent, one cut off, one stored, and then given up."""
    body = """
    const [study, all] = [nothing(), nothing()];
    const items = [10, 30].map((size) => ({ file: { size }, state: "listed" }));
    for (const item of items) count(item, [study, all]);
    const told = [];
    const names = ["gone", "listedBytes", "failedBytes", "sending", "stored", "failed"];
    const tell = () => told.push(names.map((name) => all[name]));
    for (const item of items) move(item, "sending");
    goneOf(items, 0.5).forEach((bytes, at) => goes(items[at], bytes));
    tell();
    move(items[0], "stored");
    move(items[1], "waiting");
    tell();
    move(items[1], "failed", "no");
    tell();
    count(items[1], items[1].counted, -1);
    tell();
    const isSame = JSON.stringify(study) === JSON.stringify(all);
    return { told, isSame, share: goneOf(items, 1), none: goneOf(items, 0) };
    """
    names = "count, goes, move, nothing"
    found = run({"upload/counting.js": names, "upload/batches.js": "goneOf"}, body)
    assert found["told"] == [
        [20, 0, 0, 2, 0, 0],
        [10, 0, 0, 0, 1, 0],
        [40, 0, 30, 0, 1, 1],
        [10, 0, 0, 0, 1, 0],
    ]
    assert (found["isSame"], found["share"], found["none"]) == (True, [10, 30], [0, 0])


def test_outcomes_are_told_in_words(run: Run) -> None:
    outcomes = [
        Outcome(instance_uid="1.1", class_uid="1", study_uid="2", series_uid="3"),
        Outcome(instance_uid="1.2", class_uid="1", failure=0xA901, reason="its study is another patient's"),
        Outcome(instance_uid="1.3", class_uid="1", failure=0xC122),
        Outcome(failure=0xC000, reason="cut off"),
    ]
    document = json.dumps(store_response(outcomes, "http://x"))
    body = f"""
    const document = {document};
    return [outcomesOf(document, ["1.1", "1.2", "1.3", "1.4", "1.5"]), isResponse(document),
      isResponse({{ message: "no" }}), isResponse(null)];
    """
    assert run({"upload/outcomes.js": "outcomesOf, isResponse"}, body) == [
        [
            "",
            "its study is another patient's (A901)",
            "its transfer syntax is not known (C122)",
            "cut off (C000)",
            "the gateway says nothing of it",
        ],
        True,
        False,
        False,
    ]


_SENDER = """
const items = Array.from({ length: 100 }, (_, at) =>
  ({ facts: { instance: `1.${at}` }, file: new Blob(["x"]), state: "listed", tries: 0 }));
const uid = (instance) => ({ "00081155": { Value: [instance] } });
const stored = () => ({ "00081199": { Value: items.map((one) => uid(one.facts.instance)) } });
const asked = [];
let answers = () => undefined;
let reachable = () => {};
const post = (files, signal) => new Promise((resolve, reject) => {
  asked.push(files.length);
  signal.addEventListener("abort", () => reject(new DOMException("left", "AbortError")));
  const answer = answers(asked.length, files);
  if (answer === "never") return;
  if (answer) reject(answer);
  else resolve(stored());
});
const states = [];
const sender = new Sender({ post, reach: async () => reachable(), changed: () => {
  if (states.at(-1) !== sender.state) states.push(sender.state);
} });
const settle = () => new Promise((done) => setTimeout(done, 5));
const count = (state) => items.filter((item) => item.state === state).length;
const refused = (status, more = {}) => Object.assign(new GatewayError(status, `no ${status}`), more);
sender.wait = 1;
"""


def send(run: Run, body: str) -> Any:
    return run({"gateway.js": "GatewayError", "upload/sender.js": "Sender"}, f"{_SENDER} {body}")


def test_all_is_sent_two_requests_at_a_time(run: Run) -> None:
    body = """
    sender.send(items);
    const first = sender.running.size;
    await settle();
    sender.send(items);
    await settle();
    return [first, asked, count("stored"), sender.state];
    """
    assert send(run, body) == [2, [50, 50], 100, "idle"]


def test_a_login_that_ends_pauses_and_goes_on_with_the_new_one(run: Run) -> None:
    found = send(
        run,
        """
        answers = (number) => number <= 2 && refused(401);
        sender.send(items);
        await settle();
        const before = [sender.state, count("waiting"), asked.length];
        sender.retry("lost");
        const still = sender.state;
        sender.retry("login");
        await settle();
        return { before, still, after: [sender.state, count("stored"), asked.length] };
        """,
    )
    assert found == {"before": ["login", 100, 2], "still": "login", "after": ["idle", 100, 4]}


def test_a_lost_connection_is_waited_for(run: Run) -> None:
    found = send(
        run,
        """
        sender.wait = 10_000;
        answers = (number) => number <= 2 && refused(0);
        reachable = () => { throw refused(0); };
        sender.send(items);
        await settle();
        const before = [sender.state, count("waiting"), asked.length];
        sender.retry("lost");
        await settle();
        clearTimeout(sender.timer);
        return [before, sender.state, count("stored"), items.some((item) => item.tries)];
        """,
    )
    assert found == [["lost", 100, 2], "idle", 100, False]


def test_a_login_that_the_gateway_hangs_up_on_is_asked_for(run: Run) -> None:
    found = send(
        run,
        """
        answers = () => refused(0);
        reachable = () => { throw refused(401); };
        sender.send(items);
        await settle();
        return [sender.state, count("waiting")];
        """,
    )
    assert found == ["login", 100]


def test_a_request_that_is_too_large_is_halved(run: Run) -> None:
    found = send(
        run,
        """
        const { file } = items[7];
        answers = (number, files) => (files.length > 12 || files.includes(file)) && refused(413);
        sender.send(items);
        await settle();
        return [count("stored"), items.filter((one) => one.state === "failed").map((one) => one.reason)];
        """,
    )
    assert found == [99, ["no 413"]]


def test_a_busy_gateway_is_asked_again_but_not_for_ever(run: Run) -> None:
    found = send(
        run,
        """
        answers = (number) => number < 4 && refused(503);
        sender.send(items.slice(0, 10));
        while (sender.state !== "idle") await settle();
        const first = [asked.length, count("stored")];
        answers = () => refused(500);
        sender.wait = 0.01;
        sender.send(items.slice(10, 11));
        while (sender.state !== "idle") { clearTimeout(sender.timer); sender.retry("busy"); await settle(); }
        return [first, asked.length - 4, items[10].state, items[10].reason];
        """,
    )
    assert found == [[4, 10], 8, "failed", "no 500"]


def test_failures_are_told_by_file_and_can_be_sent_again(run: Run) -> None:
    found = send(
        run,
        """
        const failed = { "00081198": { Value: [{ ...uid("1.0"), "00081197": { Value: [0x0124] } }] } };
        answers = () => refused(409, { document: failed });
        sender.send(items.slice(0, 2));
        await settle();
        const before = items.slice(0, 2).map((one) => [one.state, one.reason]);
        answers = () => undefined;
        sender.send(items.slice(0, 2));
        await settle();
        return [before, count("stored"), items[0].reason];
        """,
    )
    assert found == [
        [
            ["failed", "you are not allowed to store it (0124)"],
            ["failed", "the gateway says nothing of it"],
        ],
        2,
        "",
    ]


def test_a_file_that_is_gone_fails_alone(run: Run) -> None:
    found = send(
        run,
        """
        const gone = { slice: () => ({ arrayBuffer: async () => { throw new Error("gone"); } }), size: 1 };
        items[3].file = gone;
        answers = (number, files) => files.includes(gone) && refused(0);
        sender.send(items.slice(0, 5));
        await settle();
        return [count("stored"), items[3].state, items[3].reason];
        """,
    )
    assert found == [4, "failed", "it cannot be read any more, or has changed"]


def test_what_nobody_may_send_is_not_sent_again_and_again(run: Run) -> None:
    body = """
    sender.most = { files: 10, bytes: 1000 };
    answers = () => refused(405);
    sender.send(items);
    await settle();
    return [asked.length, count("failed"), sender.state];
    """
    assert send(run, body) == [2, 100, "idle"]


def test_sending_is_paused_and_goes_on(run: Run) -> None:
    found = send(
        run,
        """
        answers = (number) => number <= 2 && "never";
        sender.send(items);
        sender.pause();
        await settle();
        const before = [sender.state, count("waiting"), sender.running.size];
        sender.resume();
        await settle();
        return [before, sender.state, count("stored")];
        """,
    )
    assert found == [["paused", 100, 0], "idle", 100]
