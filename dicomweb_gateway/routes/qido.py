"""The six searches (dicomweb.md section 2)."""

from hashlib import sha256

from flask import Blueprint, Response, request

from dicomweb_gateway.dicom.json_model import JsonObject, dumps
from dicomweb_gateway.dicom.xml_model import native_model
from dicomweb_gateway.index.search import SearchResult
from dicomweb_gateway.qido.answers import RETRIEVE_URL
from dicomweb_gateway.qido.attributes import Level
from dicomweb_gateway.qido.parse import parse_query
from dicomweb_gateway.web.audited import note
from dicomweb_gateway.web.conditional import weak_etag
from dicomweb_gateway.web.links import base_url
from dicomweb_gateway.web.multipart import MultipartFraming, boundary_for
from dicomweb_gateway.web.negotiation import Representation, negotiate_search
from dicomweb_gateway.web.requests import accepted, query_pairs
from dicomweb_gateway.web.resource import ResourcePath, parse_path
from dicomweb_gateway.web.responses import empty_response, json_response, not_modified
from dicomweb_gateway.web.services import services

blueprint = Blueprint("qido", __name__)

_STEPS = (("studies", "0020000D"), ("series", "0020000E"), ("instances", "00080018"))
_MOST_WARNINGS = 16
"""Headers of one answer; proxies refuse answers whose headers are many or long."""
_DEPTH: dict[Level, int] = {"study": 1, "series": 2, "instance": 3}


@blueprint.get("/studies")
def search_studies() -> Response:
    """Studies (Q-R1)."""
    return _search("study", ResourcePath())


@blueprint.get("/series")
@blueprint.get("/studies/<study>/series")
def search_series(study: str | None = None) -> Response:
    """Series, of one study or of all (Q-R2, Q-R4)."""
    return _search("series", parse_path(study))


@blueprint.get("/instances")
@blueprint.get("/studies/<study>/instances")
@blueprint.get("/studies/<study>/series/<series>/instances")
def search_instances(study: str | None = None, series: str | None = None) -> Response:
    """Instances, of one series, one study or of all (Q-R3, Q-R5, Q-R6)."""
    return _search("instance", parse_path(study, series))


def _search(level: Level, path: ResourcePath) -> Response:
    gateway = services()
    chosen = negotiate_search(accepted(request))
    query = parse_query(
        level,
        query_pairs(request),
        study_uid=path.study_uid,
        series_uid=path.series_uid,
        max_results=gateway.config.max_results,
        hard_max_results=gateway.config.hard_max_results,
        strict=gateway.config.strict_query,
        zone=gateway.config.zone,
        phonetic=gateway.config.fuzzy_phonetic,
    )
    result = gateway.search(query)
    note(request, results=len(result.rows))
    links = base_url(request, gateway.config)
    for row in result.rows:
        _put_retrieve_url(row, level, links)
    if not result.rows and (chosen.multipart or gateway.config.empty_status == 204):
        response = empty_response()
    else:
        body, content_type = _written(result.rows, chosen, gateway.config.boundary_key)
        etag = weak_etag(body)
        response = not_modified(request, etag, may_be_encoded=True) or json_response(
            request, body, content_type, etag
        )
    response.headers["Cache-Control"] = "no-cache"
    _add_notices(response, result, links)
    return response


def _written(rows: list[JsonObject], chosen: Representation, key: bytes) -> tuple[bytes, str]:
    """The body and its Content-Type: one JSON list, or a part of XML for each row (Q-40)."""
    if not chosen.multipart:
        return dumps(rows), chosen.media_type
    documents = [native_model(row) for row in rows]
    framing = MultipartFraming(boundary_for(key, sha256(b"".join(documents)).hexdigest()), chosen.media_type)
    return b"".join(framing.whole(documents)), framing.content_type


def _put_retrieve_url(row: JsonObject, level: Level, links: str) -> None:
    """The WADO-RS address of what the row describes (Q-51), in its place."""
    url = links
    for name, key in _STEPS[: _DEPTH[level]]:
        uids = row[key].get("Value")
        if uids:
            url += f"/{name}/{uids[0]}"
    row[RETRIEVE_URL] = {"vr": "UR", "Value": [url]}


def _add_notices(response: Response, result: SearchResult, links: str) -> None:
    """Warnings and, where it cost nothing, the number of matches (Q-33 to Q-35)."""
    if result.total is not None:
        response.headers["X-Total-Count"] = str(result.total)
    for warning in result.warnings[:_MOST_WARNINGS]:
        response.headers.add("Warning", f'299 {links}: "{warning}"')
