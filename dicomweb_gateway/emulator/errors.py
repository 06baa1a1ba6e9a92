"""The service's errors: a name, a status and a message (healthimaging.md 1.5)."""


class ServiceError(Exception):
    """Base; `status` and `name` go onto the wire, the message is shown to the client."""

    status = 500
    name = "InternalServerException"


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
