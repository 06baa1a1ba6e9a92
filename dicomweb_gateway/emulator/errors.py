"""The service's errors: a name, a status and a message (healthimaging.md 1.5)."""


class ServiceError(Exception):
    """Base; `status` and `name` go onto the wire, the message is shown to the client.

    `retry_after`: seconds for a Retry-After header.
    """

    status = 500
    name = "InternalServerException"
    retry_after: float | None = None


class InvalidRequest(ServiceError):
    """A malformed id, parameter or body."""

    status = 400
    name = "ValidationException"


class NotFound(ServiceError):
    """No such data store, job, image set, version or frame."""

    status = 404
    name = "ResourceNotFoundException"


class UnknownOperation(ServiceError):
    """A path that is no operation, or none that the emulator has."""

    status = 404
    name = "UnknownOperationException"


class TooLarge(ServiceError):
    """A body beyond what one request may have."""

    status = 413
    name = "RequestEntityTooLargeException"


class UnsupportedMediaType(ServiceError):
    """A body of another type than the operation takes."""

    status = 415
    name = "UnsupportedMediaTypeException"


class QuotaExceeded(ServiceError):
    """More than the service lets one account have (1.6)."""

    status = 402
    name = "ServiceQuotaExceededException"


class Conflict(ServiceError):
    """The thing exists and is not in a state that allows this."""

    status = 409
    name = "ConflictException"


class Throttled(ServiceError):
    """More requests than the rate allows."""

    status = 429
    name = "ThrottlingException"


class InternalFailure(ServiceError):
    """Asked for by the failure switch, or an accident."""


class FrontEndFailure(ServiceError):
    """What stands before the service fails: 502 to 504, with a page in place of the service's own body."""

    def __init__(self, status: int) -> None:
        super().__init__("The failure switch is on")
        self.status = status


class Forbidden(ServiceError):
    """The caller has no right to this."""

    status = 403
    name = "AccessDeniedException"


class ExpiredToken(Forbidden):
    """The credentials were good once."""

    name = "ExpiredTokenException"


class MissingSignature(Forbidden):
    """The request is not signed, and must be."""

    name = "MissingAuthenticationTokenException"


class UnrecognizedClient(Forbidden):
    """No such access key id, or another session token."""

    name = "UnrecognizedClientException"


class InvalidSignature(Forbidden):
    """The signature is another one than the secret gives, or of another time."""

    name = "InvalidSignatureException"
