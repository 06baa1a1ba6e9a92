"""Every setting of the gateway: one frozen value, read once, contradictions refused (DESIGN 4).

Order of precedence: command line, environment (the upper-case name, no prefix), TOML file, default.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from dicomweb_gateway.errors import SettingsError
from dicomweb_gateway.setting_groups.browsers import BrowserSettings
from dicomweb_gateway.setting_groups.caches import CacheSettings
from dicomweb_gateway.setting_groups.database import DatabaseSettings
from dicomweb_gateway.setting_groups.imports import ImportSettings
from dicomweb_gateway.setting_groups.limits import LimitSettings
from dicomweb_gateway.setting_groups.lists import CommaList, split_list
from dicomweb_gateway.setting_groups.processes import ProcessSettings
from dicomweb_gateway.setting_groups.records import RecordSettings
from dicomweb_gateway.setting_groups.searches import SearchSettings

_LOGIN_IN_URL = re.compile(r"//[^/?#\s]*@")


class Settings(
    RecordSettings,
    SearchSettings,
    BrowserSettings,
    LimitSettings,
    ProcessSettings,
    CacheSettings,
    DatabaseSettings,
    ImportSettings,
):
    """The effective settings; those of one kind stand together in `setting_groups`.

    Unset optional ones are filled in by properties there and below.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    ahi_endpoint: str | None = None
    """HealthImaging endpoint, such as the emulator's URL; unset: AWS."""
    ahi_region: str | None = Field(
        default=None, validation_alias=AliasChoices("ahi_region", "aws_region", "aws_default_region")
    )
    """AWS region; also read from AWS_REGION and AWS_DEFAULT_REGION."""
    ahi_datastore_ids: CommaList = ()
    """Data stores that are read, indexed and served, and no others; empty: all in the index."""
    index_queue_url: str | None = None
    """SQS queue with HealthImaging's events, which `index watch` follows."""
    prefetch: bool = True
    """Fetch the frames of an opened series ahead of demand."""
    verify_checksums: Literal["always", "off"] = "always"
    """Compare each fetched frame's CRC-32 with the image set metadata before it is used."""
    access_rules: Path | None = None
    """TOML file that says which callers see what; unset: all who are known may read everything."""
    max_frames_per_request: int = Field(default=1000, ge=1)
    """Frame numbers in one frame list, frames of one animation (F-3)."""
    max_retrieve_bytes: int | None = Field(default=None, ge=1)
    """Decoded pixel data that a study or series may have to be retrieved at once; None for any."""
    max_rendered_instances: int = Field(default=100, ge=1)
    """Instances of a study or series that are rendered in one multipart answer (R-1)."""
    boundary_key: SecretStr | None = None
    """Secret behind multipart boundaries, the same on all hosts of one service; unset: kept in the index."""
    frame_timeout: float = Field(default=60, gt=0)
    """Seconds that a request waits before its answer begins, and for each frame after that; then 504."""
    drain_seconds: float = Field(default=20, ge=0, le=3600)
    """Seconds that running answers may take to finish when the gateway ends or reloads; then they are cut."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line, environment, TOML file; no dotenv file, no secret folder."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @field_validator("ahi_datastore_ids", mode="before")
    @classmethod
    def _split_ids(cls, value: Any) -> Any:
        return split_list(value)

    @property
    def allowed_datastores(self) -> frozenset[str] | None:
        """The data stores that may be read, indexed and served; None: all."""
        return frozenset(self.ahi_datastore_ids) or None


def shown(value: Any) -> Any:
    """A setting's value as it may be shown: secrets, and logins within addresses, are masked."""
    if isinstance(value, tuple | frozenset):
        return ",".join(map(str, map(shown, value)))
    if isinstance(value, bool | int | float | None):
        return value
    return _LOGIN_IN_URL.sub("//**********@", str(value))


def load_settings(overrides: Mapping[str, Any] | None = None, config: Path | None = None) -> Settings:
    """The settings; `overrides` come from the command line, None values in it mean not given.

    Raises SettingsError with one sentence that names the setting.
    """
    given = {name: value for name, value in (overrides or {}).items() if value is not None}

    class FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=config)

    if config is not None and not config.is_file():
        raise SettingsError(f"the configuration file {config} does not exist")
    try:
        _refuse_unknown(config)
        return FromFile(**given)
    except ValidationError as error:
        raise SettingsError(_sentence(error)) from None
    except ValueError as error:
        raise SettingsError(f"the configuration file {config} cannot be read: {error}") from None


def _refuse_unknown(config: Path | None) -> None:
    """SettingsError for a name in the file that is no setting: a typing error must not pass for a default."""
    names = tomllib.loads(config.read_text()) if config is not None else {}
    unknown = sorted(names.keys() - Settings.model_fields.keys() - {"aws_region", "aws_default_region"})
    if unknown:
        raise SettingsError(f"{config}: {unknown[0]} is no setting (names are lower-case there)")


def source_of(name: str, overrides: Mapping[str, Any], config: Path | None) -> str:
    """Where the setting's value came from: "command line", "environment", the file's name or "default"."""
    if overrides.get(name) is not None:
        return "command line"
    names = ("ahi_region", "aws_region", "aws_default_region") if name == "ahi_region" else (name,)
    if any(key.lower() in names and value for key, value in os.environ.items()):
        return "environment"
    if config is not None and name in TomlConfigSettingsSource(Settings, toml_file=config)():
        return str(config)
    return "default"


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    name = ".".join(map(str, first["loc"][:1])).upper()
    message = first["msg"].removeprefix("Value error, ")
    return f"{name}: {message}" if name else message
