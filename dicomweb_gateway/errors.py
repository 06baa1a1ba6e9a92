"""Every error that the gateway raises on purpose, one tree, each carrying its facts.

GatewayError
 ├ SettingsError              contradictory or unusable settings; refused at start
 ├ ReloadFailed               a running gateway could not be told to reload, or refused, with its reason
 ├ RequestError               the client's fault, answered 4xx
 │  ├ Unauthenticated         401, with the challenges to answer
 │  │  ├ WrongCredentials     401, what is presented as a login is none
 │  │  └ InsufficientScope    403, who asks is known, but their token is not for this
 │  ├ CrossSite               403, what would change something comes from another site's page
 │  ├ InvalidRequest          400, names the parameter
 │  │  └ MissingArgument      400, without an id that HealthImaging's own address needs
 │  ├ ResourceNotFound        404, unknown or not below the named parents
 │  │  └ ResourceGone         410, was there and has been deleted
 │  ├ NotAcceptable           406, names what could be served (A-9)
 │  ├ StoringOff              405, nobody, or not who asks, may store here
 │  ├ DataStoreUnclear        409, where to store is not told
 │  ├ EditConflict            409, what is to be changed has changed, or is being changed
 │  ├ UnsupportedMediaType    415
 │  ├ PayloadTooLarge         413
 │  ├ TooManyRequests         429, with the time to wait
 │  └ RangeNotSatisfiable     416
 ├ UndecodablePixels          the stored frame cannot be decoded here; stored syntax and metadata still can
 ├ UnreadableDicom            a DICOM file that an import leaves out, with the reason
 │  └ NotDicom                a file of another kind
 ├ CorruptFrame               length, codestream or CRC-32 of a frame is wrong, also after a second fetch
 ├ StorageUnavailable         the disk has no room, or fails, for what an answer is made of
 ├ IndexUnavailable           the metadata index does not answer
 ├ FetchersUnavailable        no frame fetcher answers
 ├ DecodersUnavailable        every decoder process is busy, or none starts
 ├ AuditUnavailable           what must be logged to be answered cannot be logged
 ├ LoginUnavailable           the identity provider, or Redis with the sessions, does not answer
 ├ GatewayBusy                so much is asked for, or goes out, at once that this is not begun
 ├ ClientLeft                 nobody waits for the answer any more
 ├ BucketError                S3 did not do what an import asked
 │  └ MissingObject           there is no such bucket or object
 ├ ImportTrouble              an import cannot begin or go on; what was done is kept
 └ UpstreamError              HealthImaging
    ├ UpstreamNotFound        it no longer has the thing: the index row is stale (healthimaging.md 6.3-10)
    ├ UpstreamDenied          our credentials may not, or are wrong
    ├ UpstreamThrottled       429 after all tries
    ├ UpstreamBusy            409 still processing, after all tries
    ├ UpstreamFailed          5xx or nonsense after all tries
    │  ├ UpstreamInvalid      it finds what was asked malformed
    │  └ CorruptMetadata      one instance's attributes are nonsense; the others' are not touched
    ├ UpstreamTimeout         no answer in time
    └ UpstreamUnavailable     it has failed again and again, so it is not even asked for a while

HTTP statuses stand in `web/errors.py`, the only such table.
"""

from collections.abc import Sequence


class GatewayError(Exception):
    """Base of everything that is raised on purpose; the message is safe to show to a client."""


class SettingsError(GatewayError):
    """Settings that contradict each other or cannot be used; one sentence says which and why."""


class ReloadFailed(GatewayError):
    """No running gateway took its settings anew; the sentence says why."""


class RequestError(GatewayError):
    """The request cannot be served as it was asked."""


class Unauthenticated(RequestError):
    """Nobody is known to ask; `challenges` are values of WWW-Authenticate."""

    def __init__(self, message: str, challenges: Sequence[str] = ()) -> None:
        self.challenges = tuple(challenges)
        super().__init__(message)


class WrongCredentials(Unauthenticated):
    """What is presented as a login is none, or no longer."""


class InsufficientScope(Unauthenticated):
    """The token is good, but lacks a scope that every token must have (RFC 6750 3.1)."""


class CrossSite(RequestError):
    """A browser sends what would change something, and nothing shows that a page of ours asked for it."""


class InvalidRequest(RequestError):
    """A malformed UID, key or parameter; the message names it."""


class MissingArgument(InvalidRequest):
    """An id is not given on HealthImaging's own address (healthimaging.md 7.1)."""


class ResourceNotFound(RequestError):
    """The study, series, instance, frame or bulk data does not exist, or not below these parents."""


class ResourceGone(ResourceNotFound):
    """The study, series or instance was in the index and has been deleted from HealthImaging."""


class NotAcceptable(RequestError):
    """Nothing that the client accepts can be served; `offered` lists the media types that could be (A-9)."""

    def __init__(self, message: str, offered: Sequence[str] = ()) -> None:
        self.offered = tuple(offered)
        if self.offered:
            message = f"{message}; this resource can be served as: {', '.join(self.offered)}"
        super().__init__(message)


class PayloadTooLarge(RequestError):
    """The request asks for, or carries, more than is allowed."""


class StoringOff(RequestError):
    """Storing is switched off, or not for this caller; `allowed` are the methods that are left."""

    allowed = ("GET", "HEAD", "OPTIONS")

    def __init__(self) -> None:
        super().__init__("storing is switched off here")


class DataStoreUnclear(RequestError):
    """There are several data stores to store into, or none, and no setting says which."""


class EditConflict(RequestError):
    """Another version than the one that was looked at is the latest, or somebody else changes it now."""


class UnsupportedMediaType(RequestError):
    """The body is of a type that is not taken here."""


class TooManyRequests(RequestError):
    """The client must wait for `retry_after` seconds."""

    def __init__(self, message: str, retry_after: float = 5.0) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class RangeNotSatisfiable(RequestError):
    """A byte range outside a body of `total` bytes (RFC 9110 15.5.17)."""

    def __init__(self, total: int) -> None:
        self.total = total
        super().__init__(f"the requested range lies outside the {total} bytes of this resource")


class UndecodablePixels(GatewayError):
    """No decoder here takes this frame; the message gives transfer syntax and reason."""


class UnreadableDicom(GatewayError):
    """A file that is not DICOM, or is too broken to import; the message is the reason to show."""


class NotDicom(UnreadableDicom):
    """A file that is no DICOM instance and does not look like one that was damaged."""


class CorruptFrame(GatewayError):
    """What HealthImaging sent for a frame is short, torn or fails its CRC-32."""


class StorageUnavailable(GatewayError):
    """The disk cannot take what has to be kept while an answer is made."""


class IndexUnavailable(GatewayError):
    """The metadata index is down, slow or refuses us."""


class FetchersUnavailable(GatewayError):
    """The frame fetcher that owns a frame does not answer."""


class DecodersUnavailable(GatewayError):
    """No decoder process is free in time, or none can be started."""


class AuditUnavailable(GatewayError):
    """The audit log cannot be written, and nothing may be answered that is not in it."""


class LoginUnavailable(GatewayError):
    """Whether a login is good cannot be found out now."""

    retry_after = 5.0
    """Seconds."""


class GatewayBusy(GatewayError):
    """Too many requests wait, or too many long answers go out, for this one to be begun."""

    retry_after = 2.0
    """Seconds."""


class ClientLeft(GatewayError):
    """The client hung up before its answer was begun; whatever was awaited for it is given up."""


class BucketError(GatewayError):
    """S3 refused, failed or was not reached; names operation, bucket and S3's code.

    `may_pass`: whether the same may succeed a little later.
    """

    def __init__(self, message: str, may_pass: bool = False) -> None:
        self.may_pass = may_pass
        super().__init__(message)


class MissingObject(BucketError):
    """S3 has no such bucket or object."""


class ImportTrouble(GatewayError):
    """An import, a verification or a walk cannot go on; the sentence says why and what to do."""


class UpstreamError(GatewayError):
    """HealthImaging did not give what was asked; `retry_after` is in seconds, None if unknown."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class UpstreamNotFound(UpstreamError):
    """HealthImaging does not know the data store, image set or frame."""


class UpstreamDenied(UpstreamError):
    """HealthImaging refused our credentials."""


class UpstreamThrottled(UpstreamError):
    """HealthImaging throttled us through all tries."""


class UpstreamBusy(UpstreamError):
    """HealthImaging still processes the image set (409) after all tries."""


class UpstreamFailed(UpstreamError):
    """HealthImaging failed, or answered something that makes no sense, through all tries."""


class UpstreamInvalid(UpstreamFailed):
    """HealthImaging finds what was asked malformed: a client's fault where its request was passed on."""


class CorruptMetadata(UpstreamFailed):
    """What HealthImaging says of one instance cannot be read; that of others in its image set can."""


class UpstreamTimeout(UpstreamError):
    """HealthImaging did not answer in time."""


class UpstreamUnavailable(UpstreamError):
    """HealthImaging has failed so often lately that it is not asked at all until `retry_after` has passed."""
