"""The SDK's errors as ours: the only place that knows both (healthimaging.md 1.5).

Messages name the operation and AWS's error code, never what AWS wrote: that may hold attribute values.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    IncompleteReadError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ReadTimeoutError,
    ResponseStreamingError,
    SSOError,
    TokenRetrievalError,
)
from urllib3.exceptions import HTTPError

from dicomweb_gateway.errors import (
    UpstreamBusy,
    UpstreamDenied,
    UpstreamError,
    UpstreamFailed,
    UpstreamInvalid,
    UpstreamNotFound,
    UpstreamThrottled,
    UpstreamTimeout,
)

_BY_STATUS: dict[int, type[UpstreamError]] = {
    400: UpstreamInvalid,
    401: UpstreamDenied,
    403: UpstreamDenied,
    404: UpstreamNotFound,
    408: UpstreamTimeout,
    409: UpstreamBusy,
    429: UpstreamThrottled,
    504: UpstreamTimeout,
}
_NO_CREDENTIALS = (
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
_DEFAULT_RETRY_AFTER: dict[type[UpstreamError], float] = {UpstreamThrottled: 1.0, UpstreamBusy: 5.0}


class BodyCut(UpstreamFailed):
    """The connection ended before the whole body had come; asking again may help."""


class NoConnection(UpstreamFailed):
    """HealthImaging was not reached: name, address, proxy or certificate."""


class ServerFault(UpstreamFailed):
    """HealthImaging answered with a 5xx; asking again may help."""


@contextmanager
def translated(operation: str) -> Iterator[None]:
    """Raise the UpstreamError that fits whatever the SDK raises inside; BodyCut for a body cut short."""
    try:
        yield
    except ClientError as error:
        raise _of_client_error(operation, error) from error
    except (ConnectTimeoutError, ReadTimeoutError) as error:
        raise UpstreamTimeout(f"HealthImaging did not answer {operation} in time") from error
    except (IncompleteReadError, ResponseStreamingError, HTTPError) as error:
        raise BodyCut(f"HealthImaging broke off its answer to {operation}") from error
    except _NO_CREDENTIALS as error:
        raise UpstreamDenied(f"no usable AWS credentials for {operation}") from error
    except ParamValidationError as error:
        # an id that cannot even be written into a request names nothing that exists
        raise UpstreamNotFound(f"HealthImaging knows no such id ({operation})") from error
    except RuntimeError as error:
        # so the SDK says that credentials have come which had expired already
        raise UpstreamDenied(f"no usable AWS credentials for {operation}") from error
    except (BotoCoreError, OSError) as error:
        raise UpstreamFailed(f"{operation} failed: {type(error).__name__}") from error


def of_answer(operation: str, status: int, code: str, retry_after: float | None = None) -> UpstreamError:
    """The error for an answer with `status` and AWS's error `code`; `retry_after` in seconds."""
    kind = _BY_STATUS.get(status, ServerFault if status >= 500 else UpstreamFailed)
    wait = _DEFAULT_RETRY_AFTER.get(kind) if retry_after is None else retry_after
    return kind(f"HealthImaging answered {operation} with {status} {code}", retry_after=wait)


def seconds(text: str | None) -> float | None:
    """Retry-After in its number form; dates are not sent by AWS and count as unknown."""
    return float(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else None


def _of_client_error(operation: str, error: ClientError) -> UpstreamError:
    metadata: dict[str, Any] = error.response.get("ResponseMetadata") or {}
    status = metadata.get("HTTPStatusCode") or 0
    code = (error.response.get("Error") or {}).get("Code") or "unknown"
    return of_answer(operation, status, code, seconds((metadata.get("HTTPHeaders") or {}).get("retry-after")))
