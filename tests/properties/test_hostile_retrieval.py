"""Random and hostile retrievals through the real routes: a clear status with a reason, never a 500.

PROPERTY_CASES sets the number of requests (default 500).
"""

import os

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dicomweb_gateway.errors import UndecodablePixels
from tests.routes.archive import BOXED, BROKEN, CT, HTML, JPEG, OTHER, PDF, RGB, SEG, SR, STUDY, House, build

CASES = int(os.environ.get("PROPERTY_CASES", "500"))
BATCH = 25
STATUSES = {200, 204, 206, 304, 400, 404, 405, 406, 410, 413, 416, 502}
"""What a request can come to when index and fetchers work: 502 is the damaged frame of BROKEN."""

SERIES = [CT, SR, JPEG, SEG, PDF, RGB, BROKEN, HTML, BOXED]
UIDS = st.one_of(
    st.sampled_from([STUDY, OTHER, *SERIES, *(f"{uid}.1" for uid in SERIES), f"{CT}.2"]),
    st.sampled_from(
        ["1.2.3", "1..2", "1" * 65, "0", ".", "1.02", "a", "%00", "1.2\\1.3", "٣.1", "*", "-1", ""]
    ),
    st.text("0123456789.", max_size=70),
)
NUMBERS = st.one_of(
    st.sampled_from(
        ["1", "2", "1,2", "2,1", "1,1", "0", "-1", "1.5", "", ",", "1,", "9" * 9, "9" * 30, "a", "1 "]
    ),
    st.sampled_from([",".join(map(str, range(1, 1002))), "1%2C2", "+1", "1e3", "٣", "0x1", "1;2", "1-2"]),
    st.lists(st.integers(-2, 5), max_size=5).map(lambda many: ",".join(map(str, many))),
)
TAIL = st.sampled_from(
    [
        "",
        "/",
        "/metadata",
        "/rendered",
        "/thumbnail",
        "/frames",
        "/bulkdata/7FE00010",
        "/bulkdata/00091001",
        "/bulkdata/00400275/2/00091001",
        "/bulkdata/00400275/9/00091001",
        "/bulkdata/../..",
        "/bulkdata/x",
        "/htj2k/1",
        "/bulkdata/00420011",
        "/instances",
        "/conformance",
        "/rendered/1",
        "/thumbnail/9",
    ]
)
MEDIA = st.sampled_from(
    [
        "*/*",
        "*",
        "image/*",
        "image/jphc",
        "image/jph",
        "image/jp2",
        "image/jls",
        "image/jpeg",
        "image/png",
        "image/gif",
        "image/dicom-rle",
        "application/dicom",
        "application/dicom+json",
        "application/json",
        "application/pdf",
        "application/octet-stream",
        "application/dicom+xml",
        "multipart/related",
        "text/html",
        "video/*",
        "x/y",
        "",
    ]
)
SYNTAX = st.sampled_from(
    [
        "*",
        "1.2.840.10008.1.2",
        "1.2.840.10008.1.2.1",
        "1.2.840.10008.1.2.2",
        "1.2.840.10008.1.2.5",
        '"*"',
        "1.2.3",
    ]
    + [f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70, 80, 81, 90, 91, 110, 201, 202, 203)]
)


SEPARATOR, QUOTE = st.sampled_from([";", " ; "]), st.sampled_from(["", '"'])


@st.composite
def media_ranges(draw: st.DrawFn) -> str:
    kind = draw(MEDIA)
    if draw(st.booleans()):
        kind = f"multipart/related{draw(SEPARATOR)}type={draw(QUOTE)}{kind}"
        kind += '"' if kind.count('"') == 1 and draw(st.booleans()) else ""
    if draw(st.booleans()):
        kind += f"; transfer-syntax={draw(SYNTAX)}"
    return kind + draw(st.sampled_from(["", ";q=0", ";q=0.5", ";q=x", ";q=", ";;", ";a"]))


ACCEPTS = st.one_of(
    st.none(),
    st.lists(media_ranges(), max_size=4).map(", ".join),
    st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=40),
)
RANGES = st.one_of(
    st.none(),
    st.from_regex(r"bytes=-?[0-9]{0,6}-?[0-9]{0,6}(,[0-9]*-)?", fullmatch=True),
    st.sampled_from(
        [
            "bytes=0-",
            "bytes=-0",
            "bytes=9999999-",
            "bytes=0-9",
            "bytes=999999999999999999999-",
            "bytes=5-1",
            "bits=0-1",
            "bytes=0-0,-1",
        ]
    ),
)
PARAMETERS = st.sampled_from(
    [
        "window",
        "viewport",
        "quality",
        "annotation",
        "iccprofile",
        "startLevel",
        "endLevel",
        "accept",
        "charset",
        "x",
    ]
)
VALUES = st.one_of(
    st.sampled_from(
        ["1", "0", "-1", "nan", "inf", "1e999", "40,400,linear", "0,0,linear", "10,10", "8,8,0,0,4,4", "yes"]
    ),
    st.sampled_from(
        ["8,8,-5,0,99,1", "99999,1", "image/jpeg", "*/*", "patient,technique", "", ",,,", "%FF", "1;2", "'"]
    ),
    st.text(st.characters(codec="utf-8"), max_size=20),
)


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, dict[str, str], dict[str, str]]:
    series = draw(st.sampled_from(SERIES))
    known = (series.rpartition(".")[0], series, f"{series}.1")
    uids = [uid if draw(st.integers(0, 9)) else draw(UIDS) for uid in known]
    names = ("studies", "series", "instances")
    depth = draw(st.sampled_from([1, 2, 3, 3, 3]))
    path = "/aetitle/" + "/".join(f"{name}/{uid}" for name, uid in zip(names[:depth], uids, strict=False))
    path += draw(st.one_of(TAIL, NUMBERS.map("/frames/{}".format), NUMBERS.map("/frames/{}/rendered".format)))
    query = draw(st.dictionaries(PARAMETERS, VALUES, max_size=3))
    headers = {
        "Accept": draw(ACCEPTS),
        "Range": draw(RANGES),
        "If-Range": draw(st.sampled_from([None, None, None, '"x"', "x"])),
    }
    headers["If-None-Match"] = draw(st.sampled_from([None, None, None, "*", '"x"', 'W/"', "x" * 500]))
    method = draw(st.sampled_from(["GET"] * 8 + ["HEAD", "OPTIONS", "POST", "DELETE"]))
    return method, path, query, {name: value for name, value in headers.items() if value is not None}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> House:
    return build(tmp_path_factory.mktemp("hostile"))


def test_no_retrieval_breaks_the_gateway(gateway: House) -> None:
    client = gateway.app.test_client()
    seen: set[int] = set()

    @settings(
        max_examples=max(1, CASES // BATCH),
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    @given(st.lists(requests(), min_size=BATCH, max_size=BATCH))
    def run(batch: list[tuple[str, str, dict[str, str], dict[str, str]]]) -> None:
        for method, path, query, headers in batch:
            with client.open(path, method=method, query_string=query, headers=headers) as answer:
                told = (method, path, query, headers, answer.status_code)
                try:
                    assert answer.status_code in STATUSES, (told, answer.data[:300])
                    _check(method, answer, told)
                except UndecodablePixels:
                    # the one cut answer: a later instance of several turned out to be damaged (M-9)
                    assert "/instances" not in path, told
                seen.add(answer.status_code)

    run()
    assert {200, 400, 404, 406} <= seen


def _check(method, answer, told) -> None:
    body = answer.get_data()
    if answer.status_code >= 400 and method != "HEAD":
        assert answer.json["status"] == answer.status_code, told
        assert answer.json["message"], told
        assert "Traceback" not in answer.json["message"], told
    elif method == "GET" and "Content-Length" in answer.headers and answer.status_code != 304:
        assert len(body) == int(answer.headers["Content-Length"]), told
    if answer.status_code in (304, 204) or method == "HEAD":
        assert not body, told
    if answer.status_code == 206 and "Content-Range" in answer.headers:
        first, last = answer.headers["Content-Range"].removeprefix("bytes ").partition("/")[0].split("-")
        assert len(body) == int(last) - int(first) + 1, told
