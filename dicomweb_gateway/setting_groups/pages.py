"""The settings of logins by a browser: as which client, for how long, and the administrator's password."""

import re
from pathlib import Path
from typing import Any, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from dicomweb_gateway.access.admin import is_password
from dicomweb_gateway.access.claims import ANY
from dicomweb_gateway.setting_groups.lists import CommaList, split_list
from dicomweb_gateway.setting_groups.login import LoginSettings

SECRET_ARN = re.compile(r"arn:[\w-]+:secretsmanager:[\w-]+:\d+:secret:[\w/+=.@!-]+")


class PageSettings(LoginSettings):
    """How people log in at the pages."""

    oidc_login_client_id: str | None = None
    """Client as which the pages log their users in at the identity provider; unset: the first of which
    tokens are taken."""
    oidc_login_client_secret: SecretStr | None = None
    """Its secret, where it has one."""
    oidc_login_scopes: CommaList = ("openid", "profile", "email")
    """Scopes that the pages ask for, beside those in OIDC_SCOPES."""
    session_idle_seconds: int = Field(default=3600, ge=60, le=30 * 86_400)
    """Seconds without a request after which a browser's login ends."""
    session_seconds: int = Field(default=12 * 3600, ge=60, le=30 * 86_400)
    """Seconds after which it ends in any case."""
    viewer_ticket_idle_seconds: int = Field(default=2 * 3600, ge=60, le=30 * 86_400)
    """Seconds without a request after which the ticket ends with which a page opened a study in Weasis."""
    viewer_ticket_seconds: int = Field(default=8 * 3600, ge=0, le=30 * 86_400)
    """Seconds after which it ends in any case, if its login has not ended before; 0: pages give none."""
    admin_password: SecretStr | None = None
    """Password, of 8 characters at least, of the user `admin`, who may administer; unset: there is none."""
    admin_password_file: Path | None = None
    """File that holds it instead; a change is seen within a second."""
    admin_password_secret_arn: str | None = None
    """Secrets Manager secret that holds it instead, as text or as `password` in JSON; read at the start."""

    @field_validator("oidc_login_scopes", mode="before")
    @classmethod
    def _split_login_scopes(cls, value: Any) -> Any:
        return split_list(value)

    @field_validator("oidc_login_scopes")
    @classmethod
    def _with_openid(cls, scopes: tuple[str, ...]) -> tuple[str, ...]:
        if "openid" not in scopes:
            raise ValueError("must hold openid, without which a provider tells nobody's name")
        return scopes

    @field_validator("admin_password")
    @classmethod
    def _long_enough(cls, password: SecretStr | None) -> SecretStr | None:
        if password is not None and not is_password(password.get_secret_value()):
            raise ValueError("must have 8 to 1024 characters")
        return password

    @field_validator("admin_password_secret_arn")
    @classmethod
    def _arn(cls, arn: str | None) -> str | None:
        if arn is not None and not SECRET_ARN.fullmatch(arn):
            raise ValueError("must be the ARN of a Secrets Manager secret")
        return arn

    @model_validator(mode="after")
    def _one_admin(self) -> Self:
        given = (self.admin_password, self.admin_password_file, self.admin_password_secret_arn)
        if sum(one is not None for one in given) > 1:
            raise ValueError(
                "ADMIN_PASSWORD, ADMIN_PASSWORD_FILE and ADMIN_PASSWORD_SECRET_ARN exclude each other"
            )
        if self.has_admin and self.auth_mode == ("none",):
            raise ValueError("an ADMIN_PASSWORD means nothing with AUTH_MODE none, which asks nobody")
        return self

    @property
    def has_admin(self) -> bool:
        """Whether there is the user `admin`."""
        return any((self.admin_password, self.admin_password_file, self.admin_password_secret_arn))

    @property
    def login_modes(self) -> tuple[str, ...]:
        """The logins that are in force, ("none",) for none; an administrator's password is one."""
        modes = super().login_modes
        return ("basic",) if modes == ("none",) and self.has_admin and not self.auth_mode else modes

    @property
    def first_client(self) -> str | None:
        """The first of the clients whose tokens are taken; None where none is named."""
        clients = (*self.oidc_client_ids, *self.cognito_client_id)
        return next((client for client in clients if client != ANY), None)

    @property
    def login_client(self) -> str | None:
        """The client as which the pages log their users in; None where there is none."""
        return self.oidc_login_client_id or self.first_client

    @property
    def login_scopes(self) -> tuple[str, ...]:
        """What the pages ask for at the login."""
        return tuple(dict.fromkeys((*self.oidc_login_scopes, *self.oidc_scopes)))
