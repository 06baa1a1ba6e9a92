"""The settings of limits: how much one request may be, and one client may do."""

from typing import Self, TypeVar

from pydantic import Field, model_validator

from dicomweb_gateway.access.client_limits import ClientRates
from dicomweb_gateway.setting_groups.place import PlaceSettings

_N = TypeVar("_N", int, float)


def _set(value: _N | None, else_exposed: _N, is_exposed: bool) -> _N:
    """`value` where it is set; else `else_exposed` where others can come, 0 where not."""
    if value is not None:
        return value
    return else_exposed if is_exposed else type(else_exposed)(0)


class LimitSettings(PlaceSettings):
    """What one request may be, and one client do."""

    max_header_bytes: int = Field(default=1 << 16, ge=1 << 12, le=1 << 20)
    """Bytes of a request's line and headers; more is a 431."""
    max_headers: int = Field(default=100, ge=16, le=10_000)
    """Header lines of a request; more is a 431."""
    max_url_bytes: int = Field(default=48 << 10, ge=1 << 10, le=1 << 20)
    """Bytes of a request line; more is a 414."""
    max_query_parameters: int = Field(default=1000, ge=1)
    """Parameters of one query; more is a 400."""
    max_body_bytes: int = Field(default=1 << 20, ge=1 << 10)
    """Bytes of a request's body; more is a 413."""
    header_timeout: float = Field(default=20, ge=1, le=3600)
    """Seconds in which a request's line and headers must come, from the first byte on."""
    slowest_client: int = Field(default=200, ge=0)
    """Bytes a second below which a client that sends a body or takes an answer is cut off; 0: never."""
    max_connections_per_client: int | None = Field(default=None, ge=0)
    """Connections of one address, trusted proxies left out; 0: any number; unset: 2,048 where others than
    this machine can come: half of what one web process holds."""
    client_rate_limit: float | None = Field(default=None, ge=0)
    """Requests a second of one caller, of one address without a login, in the long run; 0: any number; unset:
    2,000 where others than this machine can come: no viewer asks more for long, but a script may."""
    client_rate_burst: int | None = Field(default=None, ge=1)
    """Requests that may come at once before CLIENT_RATE_LIMIT counts; unset: those of a minute."""
    client_concurrency: int | None = Field(default=None, ge=0)
    """Requests of one caller or address that are answered at once; 0: any number; unset: 1,024 where
    others than this machine can come: a viewer opens 300 frames at once."""
    failed_login_limit: int = Field(default=600, ge=0)
    """Refused logins from one address in a minute, after which further ones are a 429; 0: any number."""

    @model_validator(mode="after")
    def _burst_of_some_rate(self) -> Self:
        if self.client_rate_burst is not None and self.client_rate_limit == 0:
            raise ValueError("CLIENT_RATE_BURST means nothing with CLIENT_RATE_LIMIT=0")
        return self

    @property
    def client_rates(self) -> ClientRates:
        """What one client may do."""
        rate = _set(self.client_rate_limit, 2000.0, self.is_exposed)
        return ClientRates(
            rate=rate,
            burst=self.client_rate_burst or max(1, int(rate * 60)),
            at_once=_set(self.client_concurrency, 1024, self.is_exposed),
            connections=_set(self.max_connections_per_client, 2048, self.is_exposed),
            failed_logins=self.failed_login_limit,
        )
