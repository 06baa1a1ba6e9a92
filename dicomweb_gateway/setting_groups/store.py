"""The settings of STOW-RS: whether, where and how much clients may store."""

import re
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from dicomweb_gateway.setting_groups.viewer import ViewerSettings

_ID = re.compile(r"[0-9a-z]{32}")


class StoreSettings(ViewerSettings):
    """What may be stored."""

    store_enabled: bool = True
    """Take instances by STOW-RS of callers who may import, edits of administrators; `false`: of nobody."""
    store_datastore_id: str | None = None
    """Data store that instances go to; unset: the only one behind the base path, or that there is."""
    store_max_bytes: int = Field(default=2 << 30, ge=1 << 10)
    """Bytes of one STOW-RS request, which lie on disk while it is served; more is a 413."""
    store_max_parts: int = Field(default=10_000, ge=1)
    """Instances of one STOW-RS request; more is a 413."""
    store_timeout: float = Field(default=900, ge=1, le=86_400)
    """Seconds that a STOW-RS request, once it has come, may take until all is stored and indexed."""
    ahi_dicomweb_endpoint: str | None = None
    """Root of the data stores' own DICOMweb, where instances are stored; unset: AHI_ENDPOINT, or AWS."""

    @field_validator("store_datastore_id")
    @classmethod
    def _data_store(cls, name: str | None) -> str | None:
        if name is not None and not _ID.fullmatch(name):
            raise ValueError("must be the id of a data store: 32 digits and lower-case letters")
        return name

    @field_validator("ahi_dicomweb_endpoint")
    @classmethod
    def _http(cls, url: str | None) -> str | None:
        if url is not None and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname):
            raise ValueError("must be an absolute http or https URL")
        return url

    @model_validator(mode="after")
    def _stores_somewhere(self) -> Self:
        allowed = getattr(self, "ahi_datastore_ids", ())
        if self.store_datastore_id is not None and allowed and self.store_datastore_id not in allowed:
            raise ValueError("STORE_DATASTORE_ID is none of AHI_DATASTORE_IDS")
        return self
