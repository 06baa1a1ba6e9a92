"""Requests in and answers out, in the service's forms (healthimaging.md 1.2, 1.3, 1.5)."""

import re
import uuid
from typing import Any

import orjson
from flask import Request, Response

from dicomweb_gateway.emulator.errors import FrontEndFailure, InvalidRequest, ServiceError

_ID = re.compile(r"[0-9a-z]{32}")
_JOB_ID = re.compile(r"[0-9a-z]{1,32}")
_VERSION = re.compile(r"[0-9]{1,9}")
_LARGEST_BODY = 1 << 20


def require_ids(**ids: str) -> None:
    """InvalidRequest naming the first id that has not the service's form."""
    for name, value in ids.items():
        pattern = _JOB_ID if name == "jobId" else _ID
        if not pattern.fullmatch(value):
            raise InvalidRequest(
                f"Value at '{name}' failed to satisfy constraint: must match {pattern.pattern}"
            )


def json_body(request: Request) -> Any:
    """The body as JSON, {} when there is none; InvalidRequest when it is no JSON object."""
    if (request.content_length or 0) > _LARGEST_BODY:
        raise InvalidRequest("The request body is too large")
    data = request.get_data(cache=False)
    if not data:
        return {}
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest("The request body is not valid JSON") from error
    if not isinstance(body, dict):
        raise InvalidRequest("The request body must be a JSON object")
    return body


def text_member(
    body: dict[str, Any], name: str, *, required: bool = False, longest: int = 2048
) -> str | None:
    """A text member of a body; InvalidRequest when it is missing, too long or no text."""
    value = body.get(name)
    if value is None and not required:
        return None
    if not isinstance(value, str) or not value or len(value) > longest:
        raise InvalidRequest(f"Value at '{name}' must be text of 1 to {longest} characters")
    return value


def version_of(request: Request) -> int | None:
    """The `version` query parameter, None when absent."""
    text = request.args.get("version")
    if text is None:
        return None
    if not _VERSION.fullmatch(text):
        raise InvalidRequest("Value at 'versionId' failed to satisfy constraint: must match \\d+")
    return int(text)


def json_answer(value: Any, status: int = 200) -> Response:
    """A JSON reply with a request id."""
    response = Response(orjson.dumps(value), status, content_type="application/json")
    response.headers["x-amzn-RequestId"] = str(uuid.uuid4())
    return response


def bytes_answer(data: bytes, content_type: str) -> Response:
    """A raw reply with a request id."""
    response = Response(data, 200, content_type=content_type)
    response.headers["x-amzn-RequestId"] = str(uuid.uuid4())
    return response


def error_answer(error: ServiceError) -> Response:
    """An error as the SDKs read it: name in the header, lower-case `message` in the body."""
    if isinstance(error, FrontEndFailure):
        return Response(f"<html><body><h1>{error.status}</h1></body></html>\n", error.status)
    response = json_answer({"message": str(error)}, error.status)
    response.headers["x-amzn-ErrorType"] = error.name
    if error.retry_after is not None:
        response.headers["Retry-After"] = f"{error.retry_after:g}"
    return response


def seconds(moment: float | None) -> float | None:
    """A time as replies give it: epoch seconds with milliseconds."""
    return None if moment is None else round(moment, 3)
