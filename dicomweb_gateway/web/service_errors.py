"""Errors on HealthImaging's own addresses, so that the AWS SDKs read them (healthimaging.md 1.5, 7.1)."""

from flask import Response

from dicomweb_gateway.errors import GatewayError, MissingArgument
from dicomweb_gateway.web.responses import gateway_error_response

PREFIX = "/datastore/"
"""What every address of HealthImaging's begins with."""

_NAMES = {
    401: "AccessDeniedException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    405: "ResourceNotFoundException",
    406: "NotAcceptableException",
    409: "ConflictException",
    429: "ThrottlingException",
    503: "ThrottlingException",
}


def is_of_service(rule: str | None) -> bool:
    """Whether `rule`, a route's pattern or a path that no route has, is an address of HealthImaging's."""
    return rule is not None and rule.startswith(PREFIX)


def service_error_response(error: GatewayError) -> Response:
    """The answer to an error of ours with HealthImaging's own status; plain text where 7.1 says so."""
    response = gateway_error_response(error, pass_through=True)
    if isinstance(error, MissingArgument):
        response.set_data(str(error))
        response.content_type = "text/plain; charset=utf-8"
    return response


def name_error(response: Response) -> Response:
    """`response`, an error, with the name by which an SDK raises it."""
    status = response.status_code
    name = _NAMES.get(status, "ValidationException" if status < 500 else "InternalServerException")
    response.headers["x-amzn-ErrorType"] = name
    return response
