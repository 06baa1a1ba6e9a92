"""What the scripts of pages work out, run by Node: windows, searches, trees, what is loaded when."""

import json
from base64 import b64encode
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import numpy as np

from dicomweb_gateway.pixels.differences import differences
from dicomweb_gateway.pixels.lut import window_values
from dicomweb_gateway.pixels.options import Window
from tests.web.scripts import Run


def at_each(run: Run, imports: dict[str, str], call: str, queries: list[str]) -> list[Any]:
    """What `call` gives at the page's address with each of `queries`."""
    body = f"return {json.dumps(queries)}.map((query) => {{ location.search = query; return {call}; }});"
    found: list[Any] = run(imports, body)
    return found


WINDOWS = (
    Window(40, 400),
    Window(40.5, 1),
    Window(-600, 1500, "LINEAR_EXACT"),
    Window(0, 0.5, "LINEAR_EXACT"),
    Window(100, 350, "SIGMOID"),
)


def test_a_page_windows_as_the_gateway_does(run: Run) -> None:
    """Values that are looked up in a table, and those that are worked out one by one."""
    body = f"""
    const facts = {{ slope: 2, intercept: -30, inverse: false, padding: null }};
    return {json.dumps(WINDOWS)}.map((window) => [Int16Array, Float32Array].map((Kind) => {{
      const data = new Kind(2000).map((_, at) => at - 1000);
      const made = shaded({{ data, facts, columns: 50, rows: 40, samples: 1 }}, window, false);
      return Array.from({{ length: 2000 }}, (_, at) => made.data[at * 4]);
    }}));
    """
    values = np.arange(-1000, 1000) * 2.0 - 30
    for window, found in zip(WINDOWS, run({"stack/shading.js": "shaded"}, body), strict=True):
        assert found[0] == found[1]
        assert np.abs(found[0] - window_values(values, window)).max() <= 0.5 + 1e-6


def test_without_a_window_the_values_that_are_no_padding_decide(run: Run) -> None:
    body = """
    const facts = { slope: -2, intercept: 100, padding: [-2000, -1500] };
    const of = (values) => widest({ data: new Int16Array(values), facts });
    return [[-2000, 10, 60, -1500], [-2000, -1600], [7, 7]].map(of);
    """
    assert run({"stack/shading.js": "widest"}, body) == [
        [30, 100, "LINEAR_EXACT"],
        [3700, 800, "LINEAR_EXACT"],
        [86, 0, "LINEAR_EXACT"],
    ]


def test_a_curve_is_followed(run: Run) -> None:
    curve = b64encode(bytes((0, 200, 100))).decode()
    body = f"""
    const windows = [[10, 20, "LINEAR_EXACT"]];
    const facts = {{ slope: 1, intercept: 0, inverse: true, curve: "{curve}", windows }};
    const data = new Uint8Array([0, 5, 10, 15, 20, 99]);
    const made = shaded({{ data, facts, columns: 6, rows: 1, samples: 1 }}, facts.windows[0], false);
    return Array.from(data, (_, at) => 255 - made.data[at * 4]);
    """
    assert run({"stack/shading.js": "shaded"}, body) == [0, 100, 200, 150, 100, 100]


SEARCHES: tuple[tuple[str, dict[str, str]], ...] = (
    ("", {"limit": "26", "offset": "0", "orderby": "-StudyDate,StudyInstanceUID"}),
    ("?PatientName=sm&PatientID=7", {"PatientName": "sm*", "PatientID": "7"}),
    ("?PatientName=*th&ModalitiesInStudy=ct,%20mr", {"PatientName": "*th", "ModalitiesInStudy": "CT,MR"}),
    ("?from=2024-01-02", {"StudyDate": "20240102-"}),
    ("?from=2024-01-02&until=2024-01-02", {"StudyDate": "20240102"}),
    ("?rows=100000&offset=-3", {"limit": "101", "offset": "0"}),
    ("?sort=PatientID&rows=50&offset=50", {"limit": "51", "offset": "50"}),
)


def test_the_search_that_a_page_asks_for(run: Run) -> None:
    found = at_each(
        run, {"studies/query.js": "asked, searchOf"}, "searchOf(asked())", [q for q, _ in SEARCHES]
    )
    for (query, expected), address in zip(SEARCHES, found, strict=True):
        pairs = parse_qsl(urlsplit(address).query)
        assert urlsplit(address).path == "/x/aetitle/studies"
        assert expected.items() <= dict(pairs).items(), query
        assert len(pairs) == len(dict(pairs))


BASES = (
    ("?base=/other", "/x/other"),
    ("?base=//evil.test", "/x/aetitle"),
    ("?base=https://evil.test", "/x/aetitle"),
    ("?base=/../other", "/x/aetitle"),
)


def test_a_page_asks_nobody_but_this_gateway(run: Run) -> None:
    call = 'addressOf({ ...named(), study: "1/../2?x" }, "series")'
    found = at_each(run, {"places.js": "addressOf, named"}, call, [query for query, _ in BASES])
    assert found == [f"{base}/studies/1%2F..%2F2%3Fx/series" for _, base in BASES]


def test_no_identifier_is_a_command_for_weasis(run: Run) -> None:
    study = '1.2.3" $dicom:close --all "'
    body = f"return weasisOf({{ base: bases[0], study: {json.dumps(study)} }});"
    found = unquote(run({"places.js": "weasisOf", "gateway.js": "bases"}, body))
    assert found == 'weasis://$dicom:rs --url "http://gateway.test/x/aetitle" -r "studyUID=1.2.3"'


def test_weasis_logs_in_by_a_ticket_where_the_browser_has_a_login(run: Run) -> None:
    body = """
    const asked = [], opened = [];
    globalThis.fetch = async (path, { method, headers, body }) => {
      asked.push([method, path, headers.get("X-CSRF-Token"), JSON.parse(body)]);
      const isFirst = asked.length === 1;
      const told = isFirst ? { ticket: 'a-b_c.0f" -x' } : { message: "there is no such study" };
      return new Response(JSON.stringify(told), { status: isFirst ? 200 : 404 });
    };
    const made = (name) => ({
      name,
      children: [],
      attributes: {},
      append(...all) { this.children.push(...all); },
      setAttribute(key, value) { this.attributes[key] = value; },
      removeAttribute(key) { delete this.attributes[key]; },
      getAttribute(key) { return this.attributes[key] ?? null; },
      addEventListener(kind, done) { this[kind] = done; },
    });
    Object.assign(document, { createElement: made, dispatchEvent() {} });
    globalThis.location = { origin: "http://gateway.test", assign: (address) => opened.push(address) };
    const place = { base: bases[0], study: "1.2.3" };
    const link = wayToWeasis(place, "Weasis");
    document.documentElement.dataset.csrf = "proof";
    const [button, , told] = wayToWeasis(place, "Weasis").children;
    await button.click();
    const first = told.textContent;
    await button.click();
    const last = [told.textContent, told.className];
    return [link.name, link.attributes.href, button.name, asked, opened, first, ...last];
    """
    names = {"weasis.js": "wayToWeasis", "gateway.js": "bases"}
    link, address, button, asked, opened, first, refused, kind = run(names, body)
    assert (link, button) == ("a", "button")
    command = '$dicom:rs --url "http://gateway.test/x/aetitle" -r "studyUID=1.2.3"'
    assert unquote(address) == f"weasis://{command}"
    assert asked == [["POST", "/x/tickets", "proof", {"base": "/aetitle", "study": "1.2.3"}]] * 2
    # no ticket ends the quotes
    assert [unquote(one) for one in opened] == [f'weasis://{command} -H "Authorization: Bearer a-b_c.0f-x"']
    assert (first, refused, kind) == ("Weasis is asked to open it.", "there is no such study", "bad")


def test_differences_are_undone(run: Run) -> None:
    kinds = {"u1": "Uint8Array", "i1": "Int8Array", "u2": "Uint16Array", "i2": "Int16Array"}
    random = np.random.default_rng(6)
    cases: list[Any] = []
    expected = []
    for dtype, kind in kinds.items():
        for shape in ((6, 5), (6, 5, 3)):
            reach = np.iinfo(dtype)
            samples = random.integers(reach.min, reach.max, shape, np.dtype(dtype), endpoint=True)
            cases.append([kind, list(differences(samples)), samples.size])
            expected.append(samples.reshape(-1).tolist())
    body = f"""
    return {json.dumps(cases)}.map(([kind, bytes, size]) => {{
      const data = new globalThis[kind](size);
      undo(Uint8Array.from(bytes), data, 5, size / 30);
      return [...data];
    }});
    """
    assert run({"stack/differences.js": "undo"}, body) == expected


def test_names_and_dates_are_written_for_people(run: Run) -> None:
    body = """
    return [personName("Müller^Jörg^K^Dr.^MD"), personName("Yamada"), personName("^^^"),
      date("20240311"), date("1994.11.05"), time("101530.25"),
      shown({ Alphabetic: "Yamada^Tarou", Ideographic: "山田^太郎" })];
    """
    assert run({"dicom.js": "personName, date, time, shown"}, body) == [
        "Müller, Jörg K (Dr., MD)",
        "Yamada",
        "",
        "2024-03-11",
        "1994.11.05",
        "10:15",
        "Yamada, Tarou = 山田, 太郎",
    ]


_TREE = {"metadata/nodes.js": "ofDataSet, ofImageSet", "metadata/dictionary.js": "Dictionary"}
_WORDS = """
const words = new Dictionary({ "00100010": ["PatientName", "Patient's Name", "PN"],
  "00081140": ["ReferencedImageSequence", "Referenced Image Sequence", "SQ"],
  "00080018": ["SOPInstanceUID", "SOP UID", "UI"] });
const flat = (nodes, depth = 0) => nodes.flatMap((one) =>
  [[depth, one.tag, one.name, one.vr, one.text], ...(one.below ? flat(one.below(), depth + 1) : [])]);
"""


def test_a_data_set_is_a_tree(run: Run) -> None:
    data = {
        "00081140": {"vr": "SQ", "Value": [{"00080018": {"vr": "UI", "Value": ["1.2"]}}]},
        "00091001": {"vr": "OB", "BulkDataURI": "http://x/bulk"},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "A^B"}]},
        "00280030": {"vr": "DS", "Value": [0.5, None, 2]},
    }
    assert run(_TREE, f"{_WORDS} return flat(ofDataSet({json.dumps(data)}, words));") == [
        [0, "00081140", "Referenced Image Sequence", "SQ", "1 item"],
        [1, "", "Item 1", "", ""],
        [2, "00080018", "SOP UID", "UI", "1.2"],
        [0, "00091001", "Private attribute", "OB", "bulk data at http://x/bulk"],
        [0, "00100010", "Patient's Name", "PN", "A, B"],
        [0, "00280030", "Unknown attribute", "DS", "0.5 \\  \\ 2"],
    ]


def test_an_image_set_is_a_tree(run: Run) -> None:
    document = {
        "SchemaVersion": "1.1",
        "Patient": {"DICOM": {"PatientName": "A^B", "00091001": "x"}, "DICOMVRs": {"00091001": "LO"}},
        "Frames": [{"ID": "f"}, {"ID": "g"}],
    }
    rows = run(_TREE, f"{_WORDS} return flat(ofImageSet({json.dumps(document)}, words));")
    assert [0, "", "SchemaVersion", "", "1.1"] in rows
    assert [2, "00100010", "Patient's Name", "PN", "A^B"] in rows
    assert [2, "00091001", "Private attribute", "LO", "x"] in rows
    assert [2, "", "ID", "", "g"] in rows


def test_what_changed_between_versions(run: Run) -> None:
    before = {"a": {"x": 1, "y": [1, 2]}, "gone": "g", "same": {"deep": [{"z": 1}]}}
    after = {"a": {"x": 2, "y": [1, 2]}, "new": None, "same": {"deep": [{"z": 1}]}}
    body = f"return changesBetween({json.dumps(before)}, {json.dumps(after)});"
    found = run({"metadata/changes.js": "changesBetween"}, body)
    assert found["isAll"]
    assert found["rows"] == [
        {"path": ["a", "x"], "before": 1, "after": 2},
        {"path": ["gone"], "before": "g"},
        {"path": ["new"], "after": None},
    ]


def test_edits_ask_for_what_was_changed_and_nothing_else(run: Run) -> None:
    body = """
    const document = { Patient: { DICOM: { PatientName: "A" } },
      Study: { DICOM: {}, Series: { "1.2": { DICOM: { SeriesNumber: 3 } } } } };
    const field = { level: "study", uid: undefined };
    const changes = changesOf([
      { ...field, keyword: "StudyDescription", vr: "LO", before: "x", text: "y" },
      { ...field, keyword: "AccessionNumber", vr: "SH", before: "x", text: "" },
      { ...field, keyword: "StudyDate", vr: "DA", before: "20260101", text: "20260101" },
      { ...field, keyword: "StudyTime", vr: "TM", before: "", text: "" },
      { level: "series", uid: "1.2", keyword: "SeriesNumber", vr: "IS", before: 3, text: "4" },
      { level: "series", uid: "1.2", keyword: "BodyPartExamined", vr: "CS", before: "", text: "4" },
    ]);
    return [
      bodyOf(7, { changes }),
      bodyOf(1, { others: [1] }),
      bodyOf(3, { revert: 1 }),
      bodyOf(3, { changes: [{ level: "study", keyword: "StudyID", after: "7" }] }),
      [false, true].map((isPrimary) => levelsOf(document, isPrimary).map(({ level }) => level)),
      [["StudyID", "SH", "1"], ["PatientName", "PN", "A"], ["StudyInstanceUID", "UI", "1"],
       ["X", "LO", ["a"]], ["X", "SQ", null],
       ["X", "LO", "a\\\\b"], ["X", "LT", "a\\\\b"]].map((one) => isEditable(...one)),
    ];
    """
    names = "bodyOf, changesOf, isEditable, levelsOf"
    sent, whole, back, forced, levels, editable = run({"metadata/edits.js": names}, body)
    assert sent == {
        "latestVersion": "7",
        "study": {"StudyDescription": "y", "AccessionNumber": None},
        "series": {"1.2": {"SeriesNumber": 4, "BodyPartExamined": "4"}},
    }
    assert whole == {"latestVersion": "1", "includeStudyImageSets": True}
    assert back == {"latestVersion": "3", "revertToVersion": "1"}
    assert forced == {"latestVersion": "3", "study": {"StudyID": "7"}, "force": True}
    assert levels == [["patient", "study", "series"], ["study"]]
    assert editable == [True, True, False, False, False, False, True]


def test_an_edit_reaches_all_image_sets_of_the_study(run: Run) -> None:
    body = """
    const set = (store, id) => ({ datastoreId: store, imageSetId: id });
    const [a, b, c] = [set("1", "a"), set("1", "b"), set("2", "c")];
    const named = { PatientName: "patient", StudyDate: "study", StudyID: "study", Modality: "series" };
    const all = Object.entries(named).map(([keyword, level]) => ({ level, keyword }));
    const [patient, study, id, series] = all;
    const told = (steps) => steps.map(({ set, changes, others }) =>
      [set.imageSetId, changes.map(({ keyword }) => keyword), others.map((one) => one.imageSetId)]);
    const steps = (changes, isWhole) => told(stepsOf(changes, a, [c, b, a], isWhole));
    const whole = [[study], [patient, study, series], [id], [series]].map((changes) => steps(changes, true));
    return [...whole, steps([study], false), told(oneByOne(stepsOf([study], a, [b, a], true)[0]))];
    """
    at_once, mixed, forced, series, alone, split = run({"metadata/edits.js": "oneByOne, stepsOf"}, body)
    assert at_once == [["a", ["StudyDate"], ["b"]], ["c", ["StudyDate"], []]]
    shared = ["PatientName", "StudyDate"]
    assert mixed == [["a", [*shared, "Modality"], []], ["c", shared, []], ["b", shared, []]]
    assert forced == [[one, ["StudyID"], []] for one in "acb"]
    assert series == [["a", ["Modality"], []]]
    assert alone == [["a", ["StudyDate"], []]]
    assert split == [["a", ["StudyDate"], []], ["b", ["StudyDate"], []]]


def test_what_failed_of_an_edit_is_told_and_what_is_busy_is_asked_again(run: Run) -> None:
    body = """
    const failure = (status, after = 0) => Object.assign(new Error(`no ${status}`), { status, after });
    const answers = { a: [failure(503, 4), "2"], b: [failure(409)], c: [failure(400), "5"], d: ["9"], e: [] };
    const step = (id, others = []) => ({ set: { imageSetId: id }, changes: [], others });
    const news = [], waited = [];
    let sent = 0;
    const told = await sendAll([step("a"), step("b"), step("c", [{ imageSetId: "d" }]), step("e")], {
      send: async ({ set }) => {
        sent += 1;
        const answer = answers[set.imageSetId].shift();
        if (answer instanceof Error) throw answer;
        return answer;
      },
      tell: ({ set }, state, words) => news.push([set.imageSetId, state, words]),
      wait: async (seconds) => waited.push(seconds),
      isStopped: () => sent >= 6,
    });
    const ids = (steps) => steps.map(({ set }) => set.imageSetId);
    const ends = news.filter(([, state]) => state !== "sent");
    const looked = await sendAll([step("x"), step("y")], {
      send: async () => { throw failure(409); },
      tell() {},
      isStopped: () => false,
      decides: ({ set }) => set.imageSetId === "x",
    });
    const half = [looked.made, ids(looked.failed), ids(looked.stopped)];
    return [told.made, ids(told.failed), ids(told.stopped), waited, ends, half];
    """
    made, failed, stopped, waited, news, half = run({"metadata/sending.js": "sendAll"}, body)
    assert (made, failed, stopped, waited) == (3, ["b"], ["e"], [4])
    # what is refused where one has looked is not done elsewhere
    assert half == [0, ["x"], ["y"]]
    assert news == [
        ["a", "waiting", "asked to wait 4 s"],
        ["a", "made", "version 2"],
        ["b", "failed", "no 409"],
        ["c", "split", "one by one"],
        ["c", "made", "version 5"],
        ["d", "made", "version 9"],
    ]


_LOADER = """
const asked = [];
const waiting = new Map();
globalThis.fetch = (path, { signal }) => new Promise((resolve, reject) => {
  const name = path.replace(/^.*instances\\//, "").replace(/\\?.*/, "");
  asked.push(name);
  signal.addEventListener("abort", () => {
    waiting.delete(name);
    reject(new DOMException("left", "AbortError"));
  });
  waiting.set(name, (level, status = 200) => {
    waiting.delete(name);
    const facts = { type: "u1", columns: 2, rows: 2, samples: 1, level, levels: [{}, {}, {}] };
    resolve(new Response(status === 200 ? new Uint8Array(4) : '{"message": "no"}',
      { status, headers: { "Image-Description": JSON.stringify(facts) } }));
  });
});
const settle = () => new Promise((done) => setTimeout(done, 5));
const answer = async (name, ...how) => { waiting.get(name)(...how); await settle(); };
const images = Array.from({ length: 100 }, (_, at) => ({ instance: String(at), frame: 1 }));
const told = [];
const on = {
  picture: (index) => told.push(index),
  failure: (index, error) => told.push([index, error.message]),
  change: () => {},
};
const loader = new Loader({ base: "/x/aetitle", study: "1", series: "2" }, images, on);
"""


def load(run: Run, body: str) -> Any:
    return run({"stack/loader.js": "Loader"}, f"{_LOADER} {body}")


def test_the_first_image_is_loaded_alone_coarse_and_full_then_those_around_it(run: Run) -> None:
    found = load(
        run,
        """
        loader.show(50);
        const first = [...asked];
        await answer("50/frames/1/levels/0", 0);
        const coarse = [loader.picture(50).facts.level, loader.shelf.isFull(50)];
        await answer("50/frames/1/levels/last", 2);
        return { first, coarse, full: loader.shelf.isFull(50), told, next: asked.slice(first.length) };
        """,
    )
    assert found["first"] == ["50/frames/1/levels/0", "50/frames/1/levels/last"]
    assert (found["coarse"], found["full"], found["told"]) == ([0, False], True, [50, 50])
    assert found["next"] == [f"{number}/frames/1/levels/last" for number in (51, 49, 52, 48)]


def test_what_is_passed_is_left_and_what_comes_too_late_is_not_shown(run: Run) -> None:
    found = load(
        run,
        """
        loader.show(10);
        loader.show(90);
        await settle();
        const left = [...waiting.keys()].filter((name) => name.startsWith("1"));
        await answer("90/frames/1/levels/last", 2);
        const late = waiting.has("90/frames/1/levels/0");
        loader.choose({ method: "full" });
        return { left, late, cancelled: loader.figures, kept: loader.shelf.bytes, asked: asked.slice(-1) };
        """,
    )
    assert (found["left"], found["late"], found["kept"]) == ([], False, 0)
    assert found["asked"] == ["90/frames/1/levels/last"]


def test_an_image_that_fails_is_told_of_and_tried_again_when_it_is_looked_at(run: Run) -> None:
    found = load(
        run,
        """
        loader.show(5);
        await answer("5/frames/1/levels/0", 0, 406);
        await answer("5/frames/1/levels/last", 2, 406);
        const before = [asked.length, waiting.size];
        loader.show(5);
        return { told, others: before[1], again: asked.slice(before[0], before[0] + 2) };
        """,
    )
    assert (found["told"], found["others"]) == ([[5, "no"], [5, "no"]], 0)
    assert found["again"] == ["5/frames/1/levels/0", "5/frames/1/levels/last"]


def test_once_a_picture_was_there_the_next_ones_are_not_waited_for(run: Run) -> None:
    found = load(
        run,
        """
        loader.show(50);
        await answer("50/frames/1/levels/last", 2);
        const before = asked.length;
        loader.show(70);
        return asked.slice(before);
        """,
    )
    assert found[:3] == ["70/frames/1/levels/0", "70/frames/1/levels/last", "71/frames/1/levels/last"]


def test_a_gateway_that_is_busy_is_not_pressed(run: Run) -> None:
    found = load(
        run,
        """
        loader.show(5);
        await answer("5/frames/1/levels/last", 2, 429);
        return { told, paused: loader.pausedUntil > performance.now(), more: asked.length };
        """,
    )
    assert (found["told"], found["paused"], found["more"]) == ([], True, 2)


def test_the_furthest_pictures_go_first(run: Run) -> None:
    body = """
    const shelf = new Shelf(30);
    for (const index of [0, 1, 2, 3]) shelf.put(index, { size: 10 }, true, 3);
    shelf.put(2, { size: 5 }, false, 3);
    return [[...shelf.kept.keys()], shelf.bytes, shelf.countFull, shelf.isOver(3, 5), shelf.isOver(3, 1)];
    """
    assert run({"stack/shelf.js": "Shelf"}, body) == [[1, 2, 3], 30, 3, True, False]


CAPPED = """
const asked = [];
const all = Array.from({ length: 2500 }, (_, at) => ({
  "00080018": { Value: [String(at)] }, "0020000E": { Value: [`9.${at}`] }, "00280010": { Value: [8] },
}));
globalThis.fetch = async (path) => {
  const { pathname, searchParams } = new URL(path, "http://gateway.test");
  asked.push(pathname);
  if (pathname.endsWith("/image-sets")) return new Response('[{"datastoreId":"d","imageSetId":"i"}]');
  const start = Number(searchParams.get("offset"));
  const rows = all.slice(start, start + Math.min(cap, Number(searchParams.get("limit") ?? cap)));
  const left = all.length - start - rows.length;
  const more = `299 http://x: "There are ${left} additional results that can be requested"`;
  const isCut = rows.length === cap && left;
  return new Response(JSON.stringify(rows), { headers: isCut ? { Warning: more } : {} });
};
const place = { base: "/x/aetitle", study: "1", series: "9.2400" };
"""


def test_all_of_a_long_series_is_shown_whatever_an_answer_may_hold(run: Run) -> None:
    body = """
    const { images } = await imagesOf(place);
    const requests = asked.length;
    const sources = await sourcesOf(place);
    const heading = await headingOf(place);
    const lists = [images, sources.slice(0, -1), heading.all];
    const last = lists.map((found) => [found.length, new Set(found).size]);
    return [requests, last, sources.at(-2).key, heading.place.series];
    """
    names = {
        "stack/images.js": "imagesOf",
        "metadata/sources.js": "sourcesOf",
        "stack/heading.js": "headingOf",
    }
    for cap, requests in ((5000, 3), (700, 4), (1000, 3)):
        found = run(names, f"const cap = {cap}; {CAPPED} {body}")
        assert found == [requests, [[2500, 2500]] * 3, "2499", "9.2400"], cap


def test_no_other_series_is_shown_in_the_place_of_one_that_is_not_there(run: Run) -> None:
    body = f"""const cap = 5000; {CAPPED}
    const shown = await Promise.all(["9.9999", undefined].map((series) => headingOf({{ ...place, series }})));
    return shown.map((one) => one && one.place.series);
    """
    assert run({"stack/heading.js": "headingOf"}, body) == [None, "9.0"]
