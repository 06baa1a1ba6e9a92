"""What holds on every route (dicomweb.md C-2 to C-9, H-1 to H-6, S-3)."""

import json

import pytest

from dicomweb_gateway import errors
from dicomweb_gateway.web.services import HealthReport
from tests.routes.archive import CT, OTHER, SR, STUDY, build, path_of

INSTANCE = path_of(CT, 1)
READABLE = [
    "/aetitle/studies",
    "/aetitle/series",
    "/aetitle/instances",
    f"/aetitle/studies/{STUDY}/series",
    f"/aetitle/studies/{STUDY}/instances",
    f"{path_of(CT)}/instances",
    f"/aetitle/studies/{STUDY}",
    path_of(CT),
    INSTANCE,
    f"/aetitle/studies/{STUDY}/metadata",
    f"{path_of(CT)}/metadata",
    f"{INSTANCE}/metadata",
    f"{INSTANCE}/frames",
    f"{INSTANCE}/frames/1",
    f"{INSTANCE}/bulkdata/00091001",
    f"{INSTANCE}/rendered",
    f"{INSTANCE}/frames/1/rendered",
    f"{INSTANCE}/thumbnail",
    f"{path_of(CT)}/thumbnail",
    f"/aetitle/studies/{STUDY}/rendered",
    "/health",
    "/aetitle/health",
    "/healthcheck",
]


def error_of(response):
    assert response.content_type == "application/json"
    body = json.loads(response.get_data())
    assert set(body) == {"status", "message"}
    assert body["status"] == response.status_code
    return body["message"]


@pytest.mark.parametrize("path", READABLE)
def test_head_is_get_without_a_body(get, path):
    full, head = get(path), get(path, method="HEAD")
    assert full.status_code == head.status_code == 200
    assert head.get_data() == b""
    assert full.get_data() or path == "/healthcheck"
    for varying in ("X-Request-Id", "Server-Timing"):
        assert head.headers.pop(varying)
        assert full.headers.pop(varying)
    assert dict(head.headers) == dict(full.headers)


@pytest.mark.parametrize("path", READABLE)
def test_a_trailing_slash_is_harmless(get, path):
    assert get(f"{path}/").get_data() == get(path).get_data()


@pytest.mark.parametrize("path", READABLE)
def test_options_and_other_methods(get, path):
    options = get(path, method="OPTIONS", Origin="http://localhost:3000")
    assert options.status_code in (200, 204)
    assert {"GET", "HEAD", "OPTIONS"} <= set(options.headers["Allow"].split(", "))
    assert options.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
    assert options.headers["Access-Control-Max-Age"] == "86400"
    for method in ("PUT", "DELETE", "PATCH", "POST"):
        refused = get(path, method=method)
        assert refused.status_code == 405
        assert {"GET", "HEAD", "OPTIONS"} <= set(refused.headers["Allow"].split(", "))
        error_of(refused)


@pytest.mark.parametrize("path", [path for path in READABLE if "health" not in path])
def test_negotiated_answers_vary_by_accept(get, path):
    response = get(path)
    assert "Accept" in response.vary
    assert "no-cache" in response.headers["Cache-Control"]


@pytest.mark.parametrize("path", [path for path in READABLE if "health" not in path])
def test_what_the_client_holds_is_not_sent_again(get, path):
    full = get(path)
    again = get(path, If_None_Match=f'"other", {full.headers["ETag"]}')
    assert (again.status_code, again.get_data()) == (304, b"")
    for name in ("ETag", "Vary", "Cache-Control"):
        assert again.headers[name] == full.headers[name]
    assert get(path, If_None_Match='"other"').status_code == 200


PATHS = [
    ("C-5 malformed study", "/aetitle/studies/1..2/metadata", 400, "Study Instance UID"),
    ("C-5 letters", "/aetitle/studies/abc/series", 400, "Study Instance UID"),
    ("C-5 malformed series", f"/aetitle/studies/{STUDY}/series/x/metadata", 400, "Series Instance UID"),
    ("C-5 malformed instance", f"{path_of(CT)}/instances/1.a/frames/1", 400, "SOP Instance UID"),
    ("C-5 too long", f"/aetitle/studies/{'1' * 65}", 400, "Study Instance UID"),
    ("C-5 unknown study", "/aetitle/studies/9.9/metadata", 404, "9.9"),
    ("C-5 unknown study, instances", "/aetitle/studies/9.9", 404, "9.9"),
    ("C-5 unknown instance", f"{path_of(CT)}/instances/9.9", 404, "9.9"),
    ("C-6 series in another study, metadata", f"/aetitle/studies/{OTHER}/series/{CT}/metadata", 404, ""),
    ("C-6 series in another study, instances", f"/aetitle/studies/{OTHER}/series/{CT}", 404, ""),
    ("C-6 series in another study, thumbnail", f"/aetitle/studies/{OTHER}/series/{CT}/thumbnail", 404, ""),
    ("C-6 instance in another series", f"{path_of(SR)}/instances/{CT}.1", 404, ""),
    ("C-6 instance in another series, frames", f"{path_of(SR)}/instances/{CT}.1/frames/1", 404, ""),
    ("C-6 instance in another series, bulk", f"{path_of(SR)}/instances/{CT}.1/bulkdata/00091001", 404, ""),
    (
        "C-6 instance in another study, rendered",
        f"/aetitle/studies/{OTHER}/series/{CT}/instances/{CT}.1/rendered",
        404,
        "",
    ),
    ("L-6 unknown framesPath", f"{INSTANCE}/htj2k/1", 404, ""),
    ("unknown base path", "/elsewhere/studies", 404, ""),
    ("Q-6 not UTF-8", "/aetitle/studies?PatientName=%ff", 400, "UTF-8"),
]


@pytest.mark.parametrize(
    ("path", "status", "words"), [row[1:] for row in PATHS], ids=[row[0] for row in PATHS]
)
def test_paths_that_lead_nowhere(get, path, status, words):
    response = get(path, Origin="http://localhost:3000")
    assert response.status_code == status
    assert words in error_of(response)
    # H-3: a script must be able to read why
    assert response.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.UpstreamThrottled("slow down", retry_after=3), 503),
        (errors.UpstreamBusy("still processing"), 503),
        (errors.UpstreamDenied("refused"), 502),
        (errors.UpstreamFailed("nonsense"), 502),
        (errors.UpstreamTimeout("late"), 504),
        (errors.CorruptFrame("torn"), 502),
        (errors.FetchersUnavailable("nobody"), 503),
        (RuntimeError("secret /etc/passwd SELECT *"), 500),
    ],
)
@pytest.mark.parametrize("suffix", ["/frames/1", "", "/rendered"])
def test_upstream_failures_are_never_200_and_tell_no_secrets(fresh, error, status, suffix):
    fresh.frames.frames[fresh.key(CT)] = error
    response = fresh.app.test_client().get(f"{INSTANCE}{suffix}")
    assert response.status_code == status
    message = error_of(response)
    assert "secret" not in message
    assert "Traceback" not in message
    assert (response.headers.get("Retry-After") is not None) == (status == 503)


def test_what_upstream_lost_is_404_and_stays_so(fresh):
    fresh.image_sets.documents.clear()
    client = fresh.app.test_client()
    assert client.get(f"{INSTANCE}/metadata").status_code == 404
    # the rows are stale now: the frames of the same image set are gone too
    assert client.get(f"{INSTANCE}/frames/1").status_code == 404
    assert fresh.frames.asked == []


def test_a_foreign_host_reads_nothing(get):
    response = get("/aetitle/studies", Host="evil.example.org")
    assert response.status_code == 400
    assert "ALLOWED_HOSTS" in error_of(response)


@pytest.mark.parametrize("path", ["/aetitle/studies", f"{INSTANCE}/frames/1"])
@pytest.mark.parametrize("origin", ["https://evil.example.org", "null", "http://localhost.evil.org"])
def test_a_foreign_origin_is_not_answered_where_no_login_is_asked(get, path, origin):
    response = get(path, Origin=origin)
    assert response.status_code == 403
    assert "CORS_ORIGINS" in error_of(response)
    assert "Access-Control-Allow-Origin" not in response.headers


def test_our_own_origin_is_none_that_must_be_listed(get):
    assert get("/aetitle/studies", Origin="http://192.168.1.5", Host="192.168.1.5").status_code == 200


def test_doubled_slashes_mean_one(get):
    response = get("/aetitle//studies?limit=1")
    assert response.status_code == 200
    assert len(json.loads(response.get_data())) == 1


def test_every_base_path_serves_and_links_to_itself(get):
    (study,) = get("/dicomweb/studies?StudyInstanceUID=1.2.10").get_json()
    assert study["00081190"]["Value"] == ["http://gw:1/dicomweb/studies/1.2.10"]


@pytest.mark.parametrize("path", ["/health", "/aetitle/health"])
def test_health_names_the_part_that_fails(fresh, path):
    client = fresh.app.test_client()
    assert client.get(path).get_data() == b"OK"
    fresh.health.append(HealthReport(notes=("HealthImaging does not answer",)))
    noted = client.get(path)
    assert (noted.status_code, noted.headers["Warning"]) == (200, '199 - "HealthImaging does not answer"')
    fresh.health.append(HealthReport(failing="importing 3 of 9"))
    failing = client.get(path)
    assert failing.status_code == 503
    assert error_of(failing) == "importing 3 of 9"
    assert client.get("/healthcheck").status_code == 200


def test_the_access_log_names_routes_and_no_patients(get, caplog):
    caplog.set_level("INFO", "dicomweb_gateway")
    get("/aetitle/studies?PatientName=Secret^Name&PatientID=ID-77")
    get(f"{INSTANCE}/metadata")
    get(f"{INSTANCE}/frames/99")
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split()[:3] for line in lines] == [
        ["GET", "/aetitle/studies", "200"],
        ["GET", "/aetitle/studies/<study>/series/<series>/instances/<instance>/metadata", "200"],
        ["GET", "/aetitle/studies/<study>/series/<series>/instances/<instance>/frames/<frames>", "404"],
    ]
    assert not [line for line in lines if "Secret" in line or "ID-77" in line or STUDY in line]


def test_an_unforeseen_failure_is_logged_whole_and_shown_bare(fresh, caplog):
    fresh.frames.frames[fresh.key(CT)] = RuntimeError("the true reason")
    response = fresh.app.test_client().get(f"{INSTANCE}/frames/1")
    assert error_of(response) == "the gateway failed; the reason is in its log"
    assert "the true reason" in caplog.text


def test_links_follow_the_host_where_no_public_url_is_set(tmp_path):
    client = build(tmp_path, public_url=None).app.test_client()
    # V-6: the Python dicomweb-client leaves the port out
    (study,) = client.get(
        "/aetitle/studies?StudyInstanceUID=1.2.10", headers={"Host": "127.0.0.1"}
    ).get_json()
    assert study["00081190"]["Value"] == ["http://127.0.0.1:8080/aetitle/studies/1.2.10"]
