"""The settings of OHIF at /viewer, which the gateway serves out of an unpacked package."""

from pathlib import Path
from typing import Any, Self

from pydantic import field_validator, model_validator

from dicomweb_gateway.setting_groups.lists import CommaList, split_list
from dicomweb_gateway.setting_groups.pages import PageSettings


class ViewerSettings(PageSettings):
    """Where OHIF lies, and as whom it logs its users in."""

    ohif_dist: Path | None = None
    """Folder of the unpacked npm package `@ohif/app`, or its `dist`, served at /viewer; unset: no viewer."""
    ohif_client_id: str | None = None
    """Client as which OHIF logs in at the identity provider; unset: the first that tokens are taken of."""
    ohif_scopes: CommaList = ("openid", "profile", "email")
    """Scopes that OHIF asks for, beside those in OIDC_SCOPES."""

    @field_validator("ohif_scopes", mode="before")
    @classmethod
    def _split_scopes(cls, value: Any) -> Any:
        return split_list(value)

    @field_validator("ohif_dist")
    @classmethod
    def _built(cls, folder: Path | None) -> Path | None:
        """The folder with `index.html`, of the package or given itself."""
        if folder is None:
            return None
        for place in (folder / "dist", folder):
            if (place / "index.html").is_file():
                return place
        raise ValueError(f"there is no index.html in {folder} or its folder dist")

    @model_validator(mode="after")
    def _viewer_can_log_in(self) -> Self:
        if self.ohif_dist is not None and "oidc" in self.login_modes and self.viewer_client is None:
            raise ValueError("OHIF_DIST with AUTH_MODE oidc needs OHIF_CLIENT_ID, as which OHIF logs in")
        return self

    @property
    def viewer_client(self) -> str | None:
        """The client as which OHIF logs its users in; None where none is known."""
        return self.ohif_client_id or self.first_client

    @property
    def viewer_scopes(self) -> tuple[str, ...]:
        """What OHIF asks for at the login."""
        return tuple(dict.fromkeys((*self.ohif_scopes, *self.oidc_scopes)))
