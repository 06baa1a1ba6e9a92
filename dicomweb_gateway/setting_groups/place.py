"""The settings of places: where the gateway listens, what it is called, where it keeps things."""

from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from dicomweb_gateway.setting_groups.lists import CommaList, split_list
from dicomweb_gateway.setting_groups.pages import PageSettings


def _data_dir() -> Path:
    return Path.home() / ".local" / "share" / "dicomweb-gateway"


class PlaceSettings(PageSettings):
    """Addresses of the gateway, and its folder."""

    host: str | None = None
    """Address to listen on; unset: 127.0.0.1, with a login all addresses of this machine."""
    port: int = Field(default=8080, ge=0, le=65535)
    """TCP port; 0 takes a free one."""
    ae_path: CommaList = ("/aetitle",)
    """Base path or paths of the DICOMweb routes; the first is used in documentation and links."""
    public_url: str | None = None
    """Root of absolute links as clients reach it, without the base path; unset: taken from each request."""
    allowed_hosts: CommaList = ()
    """Further host names that a gateway without login answers to: beside loopback names, addresses, and the
    names in HOST and PUBLIC_URL."""
    data_dir: Path = Field(default_factory=_data_dir)
    """Everything that is kept, where no other setting says otherwise."""

    @field_validator("ae_path", "allowed_hosts", mode="before")
    @classmethod
    def _split_paths(cls, value: Any) -> Any:
        return split_list(value)

    @field_validator("ae_path")
    @classmethod
    def _clean_paths(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        cleaned = tuple("/" + path.strip("/") for path in paths)
        if not cleaned or "/" in cleaned:
            raise ValueError("needs at least one base path that is not the root")
        return cleaned

    @field_validator("public_url")
    @classmethod
    def _absolute(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError("must be an absolute http or https URL")
        return url

    @property
    def listen_host(self) -> str:
        """Where to listen."""
        return self.host or ("0.0.0.0" if self.has_login else "127.0.0.1")  # noqa: S104  (DESIGN 4)

    @property
    def is_exposed(self) -> bool:
        """Whether others than this machine can reach the gateway."""
        try:
            return not ip_address(self.listen_host).is_loopback
        except ValueError:
            return self.listen_host != "localhost"

    @property
    def answered_hosts(self) -> tuple[str, ...]:
        """Host names, in lower case, that are answered while no login is asked: those that settings name."""
        named = [*self.allowed_hosts, self.host, urlsplit(self.public_url or "").hostname]
        return tuple(dict.fromkeys(name.lower() for name in named if name))

    @property
    def tokens_path(self) -> Path:
        """The file of static tokens."""
        return self.tokens_file or self.data_dir / "tokens.toml"

    @property
    def users_path(self) -> Path:
        """The file of users and their passwords."""
        return self.users_file or self.data_dir / "users.toml"
