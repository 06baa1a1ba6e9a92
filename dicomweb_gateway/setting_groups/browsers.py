"""The settings of what browsers let the pages of others do."""

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings

from dicomweb_gateway.access.origins import ANY, listed_origin
from dicomweb_gateway.setting_groups.lists import CommaList, split_list


class BrowserSettings(BaseSettings):
    """Who may read answers in a browser, and how."""

    cors_origins: CommaList = ()
    """Origins that may read answers in a browser, `*.` standing for one label of a host name, `*` for all;
    empty: loopback origins while no login is asked, else all."""
    cors_credentials: bool = False
    """Pages of CORS_ORIGINS may send the browser's own credentials (HTTP basic, cookies of a proxy)."""
    cross_origin_resource_policy: Literal["cross-origin", "same-site", "same-origin"] = "cross-origin"
    """Which pages may embed answers as images and the like (H-4)."""
    hsts_seconds: int = Field(default=0, ge=0)
    """Seconds that browsers which came by TLS, as a trusted proxy says, use nothing else; 0: not told."""

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: Any) -> Any:
        return split_list(value)

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(listed_origin, origins))

    @model_validator(mode="after")
    def _credentials_of_named_origins(self) -> Self:
        if self.cors_credentials and (not self.cors_origins or ANY in self.cors_origins):
            raise ValueError("CORS_CREDENTIALS needs CORS_ORIGINS that names each origin, without *")
        return self
