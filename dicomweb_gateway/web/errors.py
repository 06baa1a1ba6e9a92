"""Exception to HTTP status: the only such table (dicomweb.md C-7)."""

from dicomweb_gateway.errors import (
    AuditUnavailable,
    ClientLeft,
    CorruptFrame,
    CorruptMetadata,
    CrossSite,
    DataStoreUnclear,
    DecodersUnavailable,
    EditConflict,
    FetchersUnavailable,
    GatewayBusy,
    GatewayError,
    IndexUnavailable,
    InsufficientScope,
    InvalidRequest,
    LoginUnavailable,
    MissingArgument,
    NotAcceptable,
    PayloadTooLarge,
    RangeNotSatisfiable,
    ResourceGone,
    ResourceNotFound,
    StorageUnavailable,
    StoringOff,
    TooManyRequests,
    Unauthenticated,
    UndecodablePixels,
    UnsupportedMediaType,
    UpstreamBusy,
    UpstreamDenied,
    UpstreamFailed,
    UpstreamInvalid,
    UpstreamNotFound,
    UpstreamThrottled,
    UpstreamTimeout,
    UpstreamUnavailable,
    WrongCredentials,
)

STATUS: dict[type[GatewayError], int] = {
    InvalidRequest: 400,
    MissingArgument: 400,
    Unauthenticated: 401,
    WrongCredentials: 401,
    InsufficientScope: 403,
    CrossSite: 403,
    ResourceNotFound: 404,
    ResourceGone: 410,
    StoringOff: 405,
    NotAcceptable: 406,
    UndecodablePixels: 406,
    DataStoreUnclear: 409,
    EditConflict: 409,
    PayloadTooLarge: 413,
    UnsupportedMediaType: 415,
    RangeNotSatisfiable: 416,
    TooManyRequests: 429,
    CorruptFrame: 502,
    CorruptMetadata: 502,
    StorageUnavailable: 503,
    IndexUnavailable: 503,
    FetchersUnavailable: 503,
    DecodersUnavailable: 503,
    LoginUnavailable: 503,
    GatewayBusy: 503,
    AuditUnavailable: 503,
    ClientLeft: 499,
    UpstreamNotFound: 404,
    UpstreamDenied: 502,
    UpstreamThrottled: 503,
    UpstreamBusy: 503,
    UpstreamFailed: 502,
    UpstreamInvalid: 502,
    UpstreamTimeout: 504,
    UpstreamUnavailable: 503,
}
"""499 is what nginx logs of a client that has left; nobody reads it."""

PASSED_THROUGH: dict[type[GatewayError], int] = {
    UpstreamInvalid: 400,
    UpstreamDenied: 403,
    UpstreamBusy: 409,
    UpstreamThrottled: 429,
}
"""What differs on HealthImaging's own addresses: its own statuses (healthimaging.md 1.5, 7.1)."""

RETRY_AFTER_SECONDS = 5
"""What a 503 or 429 advises when nobody upstream said better."""


def status_of(error: GatewayError, pass_through: bool = False) -> int:
    """The status of `error`: that of its class or of the nearest base class in the table, else 500."""
    table = {**STATUS, **PASSED_THROUGH} if pass_through else STATUS
    return next((table[kind] for kind in type(error).__mro__ if kind in table), 500)


def message_of(error: GatewayError) -> str:
    """What the client is told: the message of errors in the table, a bare sentence for any other (C-7)."""
    if status_of(error) == 500:
        return "the gateway failed; the reason is in its log"
    return str(error)


def retry_after_of(error: GatewayError) -> int | None:
    """Seconds for Retry-After, None where retrying is not the advice."""
    if status_of(error, pass_through=True) not in (409, 429, 503):
        return None
    return max(1, round(getattr(error, "retry_after", None) or RETRY_AFTER_SECONDS))
