"""The settings of logins: which are configured, and what each needs."""

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings

from dicomweb_gateway.access.algorithms import ALGORITHMS
from dicomweb_gateway.access.claims import ANY, GROUP_CLAIMS, ClaimRules
from dicomweb_gateway.access.urls import is_safe_url
from dicomweb_gateway.setting_groups.lists import CommaList, split_list

_MODES = ("oidc", "token", "basic", "proxy", "none")
_OTHER_NAMES = {"cognito_jwt": "oidc", "null": "none"}
"""What AWS's samples call them (healthimaging.md 7.1)."""
_POOL = re.compile(r"((?:[a-z]+-)+\d+)_[0-9A-Za-z]+")
_HEADER = re.compile(r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*")
_COGNITO_NAMES = ("username", "cognito:username", "sub")


def _is_everybody(network: str) -> bool:
    return ip_network(network, strict=False).prefixlen == 0


class LoginSettings(BaseSettings):
    """Who may come in, and how the gateway knows them."""

    auth_mode: CommaList = ()
    """Logins, one of which is needed: oidc (or cognito_jwt), token, basic, proxy; or none (or null). Unset:
    oidc where an issuer or a Cognito pool is set, else none."""
    oidc_issuer: str | None = None
    """The identity provider, exactly as its tokens' claim `iss` names it."""
    oidc_audience: CommaList = ()
    """Audiences (`aud`), one of which a token must be for; `*` for any."""
    oidc_client_ids: CommaList = ()
    """Applications (`client_id`, `azp`, `cid` or `appid`) whose tokens are taken; `*` for any."""
    oidc_algorithms: CommaList = ALGORITHMS
    """Signature algorithms that are taken, of RS, PS and ES with 256, 384 and 512."""
    oidc_scopes: CommaList = ()
    """Scopes, all of which a token must have."""
    oidc_token_use: CommaList = ("access",)
    """Kinds of tokens that are taken, of those that tell theirs (`token_use`): access, id."""
    oidc_leeway: float = Field(default=30, ge=0, le=600)
    """Seconds that the identity provider's clock may differ from ours."""
    oidc_name_claim: CommaList = ()
    """Claims that name the caller, the first that a token has; unset: `sub`, with Cognito `username`."""
    oidc_groups_claim: CommaList = GROUP_CLAIMS
    """Claims that name the caller's groups, all of them; dots lead inside."""
    oidc_jwks_url: str | None = None
    """Address of the identity provider's keys; unset: as its discovery document says."""
    oidc_jwks_ttl: float = Field(default=3600, ge=1, le=86_400)
    """Seconds after which the keys are fetched anew."""
    oidc_outage_seconds: float = Field(default=86_400, ge=60, le=30 * 86_400)
    """How long known keys hold while the identity provider does not answer."""
    oidc_ca_bundle: Path | None = None
    """PEM file of the authorities for the identity provider's certificate; unset: those of the system."""
    cognito_user_pool_id: str | None = None
    """Amazon Cognito user pool, in the place of OIDC_ISSUER."""
    cognito_client_id: CommaList = ()
    """App clients of the pool whose tokens are taken; unset or `null`: any."""
    query_token: bool = True
    """Take tokens also from the query (`?token=`), as AWS's samples do."""
    tokens_file: Path | None = None
    """Hashes of static tokens (`tokens new`); unset: `tokens.toml` in DATA_DIR."""
    users_file: Path | None = None
    """Users with hashed passwords (`users set`); unset: `users.toml` in DATA_DIR."""
    proxy_user_header: str = "X-Forwarded-User"
    """Header in which a trusted proxy names the user whom it has logged in."""
    proxy_groups_header: str = "X-Forwarded-Groups"
    """Header in which it names their groups, separated by commas."""
    trusted_proxies: CommaList = ()
    """Addresses or networks whose Forwarded and X-Forwarded-* headers are believed."""

    @field_validator(
        "auth_mode",
        "oidc_audience",
        "oidc_client_ids",
        "oidc_algorithms",
        "oidc_scopes",
        "oidc_token_use",
        "oidc_name_claim",
        "oidc_groups_claim",
        "cognito_client_id",
        "trusted_proxies",
        mode="before",
    )
    @classmethod
    def _split_lists(cls, value: Any) -> Any:
        return split_list(value)

    @field_validator("auth_mode")
    @classmethod
    def _known_modes(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        modes = tuple(dict.fromkeys(_OTHER_NAMES.get(one.lower(), one.lower()) for one in given))
        if not set(modes) <= set(_MODES):
            raise ValueError(f"must be of {', '.join(_MODES)} (also {', '.join(_OTHER_NAMES)})")
        if "none" in modes and len(modes) > 1:
            raise ValueError("none excludes every other login")
        return modes

    @field_validator("cognito_user_pool_id", mode="before")
    @classmethod
    def _pool(cls, pool: Any) -> Any:
        if pool is None or str(pool).lower() == "null":
            return None
        if not _POOL.fullmatch(str(pool)):
            raise ValueError("must be the id of a Cognito user pool, such as eu-west-1_AbCdEfGhI")
        return pool

    @field_validator("cognito_client_id")
    @classmethod
    def _clients(cls, clients: tuple[str, ...]) -> tuple[str, ...]:
        return () if [one.lower() for one in clients] == ["null"] else clients

    @field_validator("oidc_issuer", "oidc_jwks_url")
    @classmethod
    def _safe(cls, url: str | None) -> str | None:
        if url is not None and not is_safe_url(url):
            raise ValueError("must be an https URL (http only on this machine)")
        return url

    @field_validator("oidc_algorithms")
    @classmethod
    def _asymmetric(cls, algorithms: tuple[str, ...]) -> tuple[str, ...]:
        if not algorithms or not set(algorithms) <= set(ALGORITHMS):
            raise ValueError(f"must be of {', '.join(ALGORITHMS)}")
        return algorithms

    @field_validator("oidc_token_use")
    @classmethod
    def _some_use(cls, uses: tuple[str, ...]) -> tuple[str, ...]:
        if not uses or not set(uses) <= {"access", "id"}:
            raise ValueError("must be of access, id")
        return uses

    @field_validator("proxy_user_header", "proxy_groups_header")
    @classmethod
    def _header(cls, name: str) -> str:
        if not _HEADER.fullmatch(name):
            raise ValueError("must be the name of a header, of letters, digits and dashes")
        return name

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            ip_network(network, strict=False)
        return networks

    @model_validator(mode="after")
    def _complete(self) -> Self:
        modes = self.login_modes
        if self.oidc_issuer is not None and self.cognito_user_pool_id is not None:
            raise ValueError("OIDC_ISSUER and COGNITO_USER_POOL_ID exclude each other")
        if "oidc" in modes and self.issuer is None:
            raise ValueError("AUTH_MODE oidc needs OIDC_ISSUER or COGNITO_USER_POOL_ID")
        if "oidc" in modes and self.oidc_issuer and not (self.oidc_audience or self.oidc_client_ids):
            raise ValueError(
                "OIDC_ISSUER needs OIDC_AUDIENCE or OIDC_CLIENT_IDS: the issuer's tokens for other services "
                "must not open this one (`*` lets them)"
            )
        if "proxy" in modes and not self.trusted_proxies:
            raise ValueError("AUTH_MODE proxy needs TRUSTED_PROXIES, the addresses that may name users")
        if "proxy" in modes and any(_is_everybody(network) for network in self.trusted_proxies):
            raise ValueError(
                "AUTH_MODE proxy with TRUSTED_PROXIES of every address lets everybody name users"
            )
        if self.proxy_user_header.lower() == self.proxy_groups_header.lower():
            raise ValueError("PROXY_USER_HEADER and PROXY_GROUPS_HEADER must differ")
        return self

    @property
    def login_modes(self) -> tuple[str, ...]:
        """The logins that are in force, ("none",) for none."""
        if self.auth_mode:
            return self.auth_mode
        return ("oidc",) if self.oidc_issuer or self.cognito_user_pool_id else ("none",)

    @property
    def has_login(self) -> bool:
        """Whether nobody unknown is let in."""
        return self.login_modes != ("none",)

    @property
    def issuer(self) -> str | None:
        """What the claim `iss` of tokens must be."""
        if self.cognito_user_pool_id is None:
            return self.oidc_issuer
        region = self.cognito_user_pool_id.partition("_")[0]
        domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        return f"https://cognito-idp.{region}.{domain}/{self.cognito_user_pool_id}"

    @property
    def claim_rules(self) -> ClaimRules:
        """What must hold of a token; only where there is an issuer."""
        clients = (*self.oidc_client_ids, *self.cognito_client_id)
        own_names = _COGNITO_NAMES if self.cognito_user_pool_id else ("sub",)
        return ClaimRules(
            issuer=self.issuer or "",
            audiences=frozenset(() if ANY in self.oidc_audience else self.oidc_audience),
            clients=frozenset(() if ANY in clients else clients),
            scopes=frozenset(self.oidc_scopes),
            uses=frozenset(self.oidc_token_use),
            names=self.oidc_name_claim or own_names,
            groups=self.oidc_groups_claim,
            leeway=self.oidc_leeway,
        )
