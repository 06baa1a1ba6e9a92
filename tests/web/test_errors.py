"""Every error has its status, and says no more than it should (dicomweb.md C-7)."""

import json

import pytest

from dicomweb_gateway import errors
from dicomweb_gateway.frames.stored_frame import LostFrame
from dicomweb_gateway.web.errors import STATUS, message_of, retry_after_of, status_of
from dicomweb_gateway.web.responses import gateway_error_response

NEVER_SENT = {
    errors.SettingsError,
    errors.ReloadFailed,
    errors.UnreadableDicom,
    errors.NotDicom,
    errors.BucketError,
    errors.MissingObject,
    errors.ImportTrouble,
}
"""Raised at start and in imports only."""


def leaves(kind):
    below = kind.__subclasses__()
    return [leaf for sub in below for leaf in leaves(sub)] if below else [kind]


def make(kind, message="what is wrong"):
    if kind is errors.TooManyRequests:
        return kind(message, 3)
    if kind is errors.StoringOff:
        return kind()
    return kind(12) if kind is errors.RangeNotSatisfiable else kind(message)


ALL = [
    kind
    for kind in leaves(errors.GatewayError)
    if kind.__module__ == "dicomweb_gateway.errors" and kind not in NEVER_SENT
]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_that_can_reach_a_client_is_in_the_table(kind):
    assert kind in STATUS
    assert status_of(make(kind)) == STATUS[kind]


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.InvalidRequest, 400),
        (errors.ResourceNotFound, 404),
        (errors.NotAcceptable, 406),
        (errors.PayloadTooLarge, 413),
        (errors.RangeNotSatisfiable, 416),
        (errors.TooManyRequests, 429),
        (errors.AuditUnavailable, 503),
        (errors.UpstreamNotFound, 404),
        (errors.UpstreamDenied, 502),
        (errors.UpstreamFailed, 502),
        (errors.UpstreamThrottled, 503),
        (errors.UpstreamBusy, 503),
        (errors.UpstreamTimeout, 504),
        (errors.CorruptFrame, 502),
        (LostFrame, 502),
        (errors.IndexUnavailable, 503),
        (errors.SettingsError, 500),
    ],
)
def test_statuses(kind, status):
    response = gateway_error_response(make(kind))
    assert response.status_code == status
    assert response.content_type == "application/json"
    body = json.loads(response.get_data())
    assert body["status"] == status
    assert set(body) == {"status", "message"}
    assert response.headers["Cache-Control"] == "no-store"


def test_errors_outside_the_table_hide_their_message():
    assert "secret" not in message_of(errors.SettingsError("secret"))


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (errors.UpstreamThrottled("x", retry_after=7.4), 7),
        (errors.UpstreamThrottled("x", retry_after=0.1), 1),
        (errors.UpstreamBusy("x"), 5),
        (errors.IndexUnavailable("x"), 5),
        (errors.UpstreamFailed("x", retry_after=9), None),
        (errors.InvalidRequest("x"), None),
    ],
)
def test_retry_after_goes_with_503_only(error, seconds):
    assert retry_after_of(error) == seconds
    header = gateway_error_response(error).headers.get("Retry-After")
    assert header == (None if seconds is None else str(seconds))
