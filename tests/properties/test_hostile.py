"""Random and hostile query strings through the real routes: no 500, and nothing that was not asked for.

PROPERTY_CASES sets the number of query strings for each database (default 400).
"""

import os
import string
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus

import pytest
from hypothesis import Phase, given
from hypothesis import strategies as st

from dicomweb_gateway.app import create_app
from dicomweb_gateway.index.index_search import IndexSearch
from dicomweb_gateway.index.reader import IndexReader
from dicomweb_gateway.wado.archive import Archive
from dicomweb_gateway.web.services import HealthReport, Services, WebConfig
from tests.properties import store as made
from tests.properties.drawing import drawn
from tests.properties.matcher import Matcher

CASES = int(os.environ.get("PROPERTY_CASES", "400"))
BATCH = 25
"""Query strings of one example: making an example costs more than asking."""

SEED = 1
STUDIES = made.make_store(SEED)
ROUTES = {
    "/aetitle/studies": ("study", {}),
    "/aetitle/series": ("series", {}),
    "/aetitle/instances": ("instance", {}),
    "/aetitle/studies/1.2.3/series": ("series", {"study": "1.2.3"}),
    "/aetitle/studies/1.2.3/series/1.2.3.1/instances": ("instance", {"study": "1.2.3", "series": "1.2.3.1"}),
}
UID_OF = {"study": "0020000D", "series": "0020000E", "instance": "00080018"}
KEYS = {
    **{"00100020": "PatientID", "00100010": "PatientName", "00081030": "StudyDescription"},
    **{"00080050": "AccessionNumber", "0020000D": "StudyInstanceUID", "00080090": "ReferringPhysicianName"},
    **{"0008103E": "SeriesDescription", "0020000E": "SeriesInstanceUID", "00100040": "PatientSex"},
}
"""Keys whose answer is compared: tag and keyword."""

OTHERS = [
    *("StudyDate", "StudyTime", "SeriesNumber", "InstanceNumber", "AcquisitionDateTime", "ModalitiesInStudy"),
    *("limit", "offset", "orderby", "includefield", "fuzzymatching", "emptyvaluematching", "totalcount"),
    *("multiplevaluematching", "SpecificCharacterSet", "PatientWeight", "00091001", "DEADBEEF", "accept"),
    *("PatientAge", "ImageType", "OperatorsName", "PixelSpacing", "00081032.00080100", "00400275.00080050"),
    *("charset", "00400275.00400009", "RequestAttributesSequence", "x", "", "PatientID ", "patientid", "."),
]
ATTACKS = [
    *(
        "' OR '1'='1",
        "' OR 1=1 -- ",
        '" OR ""="',
        "'; DROP TABLE gateway_study; --",
        "') UNION SELECT 1,2 --",
    ),
    *("\\' OR 1=1 #", "%' OR '%'='", "!%", "_%", "%", "%%%", "[a-z]", "a' COLLATE utf8mb4_general_ci --"),
    *("${jndi:ldap://x}", "{{7*7}}", "%(PatientID)s", ":study_uid_1", "../../etc/passwd", "<i>", "\0"),
    *(
        "\ud7ff",
        "\U0010ffff",
        "\ufeff",
        "\u202e",
        "\u0301",
        "\r\n",
        "x" * 1100,
        "*a" * 20,
        "?" * 900,
        "9" * 400,
    ),
    *(
        "20240101-20231231",
        "20240231",
        "-",
        "--",
        "1e9",
        "+5",
        "NaN",
        "true",
        "true,false",
        "-StudyDate",
        "all",
    ),
]


def known(keyword: str) -> list[str]:
    if keyword.endswith("UID"):
        return ["1.2.3", "1.2.3.1", "1.2.4", "1.2.9999"]
    chains = [(study, series) for study in STUDIES for series in study.below]
    return sorted({thing.tags[keyword] for chain in chains for thing in chain if thing.tags.get(keyword)})


quoted = st.sampled_from([quote, quote_plus, partial(quote, safe="'()*!;:@$,/?[]")])
anything = st.one_of(st.sampled_from(ATTACKS), st.text(max_size=12), st.sampled_from(["", "*", "?", '""']))


@st.composite
def pairs(draw):
    """`name=value` of a key whose answer is compared; the value is of the archive, hostile, or both."""
    tag = draw(st.sampled_from(sorted(KEYS)))
    value = draw(st.one_of(anything, st.sampled_from(known(KEYS[tag]))))
    if draw(st.integers(0, 3)) == 0:
        value = draw(st.sampled_from(["{}{}", "{},{}", "{}\\{}", "{}={}"])).format(value, draw(anything))
    return f"{draw(st.sampled_from([tag, tag.lower(), KEYS[tag]]))}={draw(quoted)(value)}"


@st.composite
def noise(draw):
    """Other parameters, with values that may suit them, and plain rubbish."""
    if draw(st.integers(0, 3)) == 0:
        return draw(st.binary(max_size=12)).decode("latin-1")
    name = draw(st.one_of(st.sampled_from(OTHERS), st.text(string.printable, max_size=6)))
    return f"{draw(quoted)(name)}={draw(quoted)(draw(anything))}"


queries = st.lists(st.one_of(pairs(), pairs(), noise()), min_size=1, max_size=4).map("&".join)
batches = st.lists(st.tuples(st.sampled_from(sorted(ROUTES)), queries), min_size=BATCH, max_size=BATCH)


@pytest.fixture(scope="module")
def ask(engine_of):
    config = WebConfig(
        ae_paths=("/aetitle",), public_url="http://gw", port=80, boundary_key=b"k", host_rule_on=False
    )
    nothing: Any = None
    engine = engine_of(SEED)
    archive = Archive(IndexReader(engine), nothing, nothing)
    services = Services(config, archive, IndexSearch(engine), HealthReport)
    client = create_app(services).test_client()

    def get(route, query):
        return client.get(route, environ_overrides={"QUERY_STRING": query})

    return get


def allowed(route: str, query: str) -> set[str]:
    """The UIDs that the compared keys of an accepted query let through; its other keys can only narrow."""
    level, scope = ROUTES[route]
    decoded = parse_qsl(query, keep_blank_values=True, encoding="utf-8", max_num_fields=None)
    wanted = [(KEYS.get(name.upper(), name), clean(value)) for name, value in decoded]
    switches = {
        short: (name, "true") in [(key.lower(), value) for key, value in decoded]
        for short, name in (
            ("fuzzy", "fuzzymatching"),
            ("empties", "emptyvaluematching"),
            ("multiple", "multiplevaluematching"),
        )
    }
    compared = [(name, value) for name, value in wanted if name in KEYS.values()]
    return set(Matcher(level, compared, **switches, **scope).run(STUDIES))


def clean(value: str) -> str:
    """Control characters count as spaces (README, Searching; PS3.5 6.1.3)."""
    return "".join(" " if ord(one) < 32 or ord(one) == 127 else one for one in value)


@drawn(max(1, CASES // BATCH), phases=[Phase.generate])
@given(batch=batches)
def test_no_query_string_breaks_the_gateway_or_widens_an_answer(ask, batch):
    for route, query in batch:
        response = ask(route, query.encode("utf-8", "surrogatepass").decode("latin-1"))
        assert response.status_code in (200, 400, 406), (route, query, response.get_data())
        if response.status_code == 200 and response.content_type.endswith("json"):
            found = {row[UID_OF[ROUTES[route][0]]]["Value"][0] for row in response.get_json()}
            assert found <= allowed(route, query), (route, query)
        if response.status_code == 400:
            assert response.get_json()["message"], (route, query)


def test_five_thousand_uids_and_the_longest_values(ask):
    uids = ",".join(f"1.2.{number}" for number in range(3, 5003))
    for level, separator in (("studies", ","), ("series", "%5C"), ("instances", "%2C")):
        response = ask(f"/aetitle/{level}", f"StudyInstanceUID={uids.replace(',', separator)}")
        found = {row["0020000D"]["Value"][0] for row in response.get_json()}
        assert found == {study.uid for study in STUDIES} - {"1.2.1", "1.2.2"}
    for name in (*KEYS, "StudyDate", "SeriesNumber", "AcquisitionDateTime", "limit", "orderby"):
        assert ask("/aetitle/series", f"{name}={'7' * 200_000}").status_code == 400
