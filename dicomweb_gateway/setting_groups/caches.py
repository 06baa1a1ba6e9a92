"""The settings of what is kept: frames, metadata, images, and the cache that hosts share."""

import shutil
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from dicomweb_gateway.service.cache_claim import CLAIMS
from dicomweb_gateway.setting_groups.lists import CommaList, split_list
from dicomweb_gateway.setting_groups.place import PlaceSettings
from dicomweb_gateway.shared.addresses import SharedCacheConfig, host_and_port

GIB = 1 << 30


class CacheSettings(PlaceSettings):
    """Where and how much is kept, and who else may keep it."""

    cache_root: Path | None = None
    """Frame store and metadata cache; unset: `cache` in DATA_DIR."""
    cache_max_bytes: int | None = Field(default=None, ge=1 << 20)
    """Bytes of the frame store; unset: 20 GB or half of the free disk, whichever is less."""
    level_cache_bytes: int = Field(default=32 << 20, ge=0)
    """Bytes of memory of each web process for the smallest levels of frames that were asked; 0: none."""
    enable_local_nodecache: bool = True
    """The AWS sample's name: `false` keeps no levels of frames in memory."""
    rendered_cache_bytes: int = Field(default=512 << 20, ge=0)
    """Bytes on disk of rendered images that were asked twice, to be sent again; 0: none are kept."""
    metadata_ttl: float = Field(default=60, ge=0)
    """Seconds that a metadata document of unknown version is trusted."""
    cdn_caching: Literal["private", "per-caller", "shared"] | None = None
    """Who may keep answers of HealthImaging's own addresses: `private` the client, `per-caller` also a cache
    that keeps callers apart, `shared` also one that does not; unset: `per-caller` while no login is asked,
    else `private`."""
    memcached_address: CommaList = ()
    """memcached servers (host:port) that the hosts of one service share; `null` is none."""
    redis_url: SecretStr | None = None
    """Redis server (redis:// or rediss://) that they share instead."""
    enable_amazon_elasticache: bool = True
    """The AWS sample's name: `false` uses neither as a cache."""
    session_store: Literal["database", "redis"] = "database"
    """Where browsers' sessions and viewers' tickets lie: the index database, or the server of REDIS_URL."""
    shared_cache_timeout: float = Field(default=0.05, gt=0, le=5)
    """Seconds that a request waits for the shared cache at most."""
    shared_cache_seconds: int = Field(default=604_800, ge=1, le=2_592_000)
    """Seconds that a value is kept there."""
    shared_cache_item_bytes: int = Field(default=1_000_000, ge=1024, le=64 << 20)
    """Bytes of one value there at most; memcached refuses those over 1 MB unless told otherwise."""

    @field_validator("memcached_address", mode="before")
    @classmethod
    def _split_servers(cls, value: Any) -> Any:
        return split_list(value)

    @field_validator("memcached_address")
    @classmethod
    def _servers(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(one for one in addresses if one.lower() not in ("null", "none"))

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not _is_redis(url.get_secret_value()):
            raise ValueError("must be a redis:// or rediss:// URL with a host")
        return url

    @model_validator(mode="after")
    def _one_shared_cache(self) -> Self:
        if not self.enable_amazon_elasticache:
            # the samples' settings may name anything then
            return self
        for one in self.memcached_address:
            try:
                host_and_port(one)
            except ValueError as error:
                raise ValueError(f"MEMCACHED_ADDRESS: {error}") from None
        if self.memcached_address and self.redis_url is not None:
            raise ValueError("MEMCACHED_ADDRESS and REDIS_URL exclude each other")
        return self

    @model_validator(mode="after")
    def _place_of_sessions(self) -> Self:
        if self.session_store == "redis" and self.redis_url is None:
            raise ValueError("SESSION_STORE redis needs REDIS_URL, the server that keeps the sessions")
        return self

    @property
    def whole_cache(self) -> Path:
        """CACHE_ROOT, which several gateways may share."""
        return self.cache_root or self.data_dir / "cache"

    @property
    def cache_folder(self) -> Path:
        """Root of frame store and metadata cache, as the running gateway has claimed it."""
        return CLAIMS.folder(self.whole_cache)

    @property
    def spool_folder(self) -> Path:
        """Where answers and bodies lie that are too long for memory, while they are made or served."""
        return self.cache_folder / "spool"

    @property
    def frame_store_bytes(self) -> int:
        """Byte budget of the frame store."""
        if self.cache_max_bytes is not None:
            return self.cache_max_bytes
        folder = self.cache_folder
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        return max(GIB // 4, min(20 * GIB, shutil.disk_usage(folder).free // 2))

    @property
    def level_bytes(self) -> int:
        """Memory of one web process for levels of frames."""
        return self.level_cache_bytes if self.enable_local_nodecache else 0

    @property
    def shared_cache(self) -> SharedCacheConfig | None:
        """The cache tier of all hosts, None where there is none."""
        if not self.enable_amazon_elasticache or not (self.memcached_address or self.redis_url):
            return None
        return SharedCacheConfig(
            memcached=self.memcached_address,
            redis_url=self.redis_url.get_secret_value() if self.redis_url else None,
            timeout=self.shared_cache_timeout,
            seconds=self.shared_cache_seconds,
            item_bytes=self.shared_cache_item_bytes,
        )

    @property
    def session_redis(self) -> str | None:
        """The URL of the Redis server that keeps sessions; None where the database does."""
        if self.session_store == "database" or self.redis_url is None:
            return None
        return self.redis_url.get_secret_value()

    @property
    def who_may_cache(self) -> Literal["private", "per-caller", "shared"]:
        """CDN_CACHING, or what stands for it: with a login nothing is shared unasked."""
        return self.cdn_caching or ("private" if self.has_login else "per-caller")


def _is_redis(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("redis", "rediss") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False
