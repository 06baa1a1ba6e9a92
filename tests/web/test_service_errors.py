"""Errors that an AWS SDK can read (healthimaging.md 1.5)."""

import pytest

from dicomweb_gateway.errors import MissingArgument, ResourceNotFound, UpstreamInvalid, UpstreamThrottled
from dicomweb_gateway.web.responses import error_response
from dicomweb_gateway.web.service_errors import is_of_service, name_error, service_error_response


def test_which_rules_are_healthimagings():
    assert is_of_service("/datastore/<datastore_id>/searchImageSets")
    assert not any(map(is_of_service, (None, "/aetitle/studies", "/health")))


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "ValidationException"),
        (401, "AccessDeniedException"),
        (404, "ResourceNotFoundException"),
        (413, "ValidationException"),
        (429, "ThrottlingException"),
        (500, "InternalServerException"),
        (504, "InternalServerException"),
    ],
)
def test_statuses_have_names(status, name):
    assert name_error(error_response(status, "why")).headers["x-amzn-ErrorType"] == name


def test_own_statuses_and_plain_text():
    throttled = service_error_response(UpstreamThrottled("slow", retry_after=3))
    assert (throttled.status_code, throttled.headers["Retry-After"]) == (429, "3")
    assert service_error_response(UpstreamInvalid("a token of another search")).status_code == 400
    assert service_error_response(ResourceNotFound("none")).get_json()["message"] == "none"
    assert service_error_response(MissingArgument("missing")).get_data() == b"missing"
