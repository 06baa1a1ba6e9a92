"""Every setting of the gateway: one frozen value, read once, contradictions refused (DESIGN 4).

Order of precedence: command line, environment (the upper-case name, no prefix), TOML file, default.
"""

import os
import re
import shutil
import tomllib
from collections.abc import Mapping
from datetime import UTC, tzinfo
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Literal, Self, TypeVar
from urllib.parse import urlencode, urlsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from dicomweb_gateway.access.client_limits import ClientRates
from dicomweb_gateway.access.origins import ANY, listed_origin
from dicomweb_gateway.errors import SettingsError
from dicomweb_gateway.import_settings import ImportSettings
from dicomweb_gateway.login_settings import CommaList, split_list
from dicomweb_gateway.page_settings import SECRET_ARN
from dicomweb_gateway.qido.temporal import parse_zone
from dicomweb_gateway.service.cache_claim import CLAIMS
from dicomweb_gateway.shared.addresses import SharedCacheConfig, host_and_port

GIB = 1 << 30
_LOGIN_IN_URL = re.compile(r"//[^/?#\s]*@")


def _data_dir() -> Path:
    return Path.home() / ".local" / "share" / "dicomweb-gateway"


_N = TypeVar("_N", int, float)


def _set(value: _N | None, else_exposed: _N, is_exposed: bool) -> _N:
    """`value` where it is set; else `else_exposed` where others can come, 0 where not."""
    if value is not None:
        return value
    return else_exposed if is_exposed else type(else_exposed)(0)


def _cores() -> int:
    return len(os.sched_getaffinity(0))


class Settings(ImportSettings):
    """The effective settings; unset optional ones are filled in by the properties below."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    host: str | None = None
    """Address to listen on; unset: 127.0.0.1, with a login all addresses of this machine."""
    port: int = Field(default=8080, ge=0, le=65535)
    """TCP port; 0 takes a free one."""
    ae_path: CommaList = ("/aetitle",)
    """Base path or paths of the DICOMweb routes; the first is used in documentation and links."""
    public_url: str | None = None
    """Root of absolute links as clients reach it, without the base path; unset: taken from each request."""
    data_dir: Path = Field(default_factory=_data_dir)
    """Everything that is kept, where no other setting says otherwise."""
    database_url: SecretStr | None = None
    """SQLAlchemy URL of the metadata index; unset: SQLite in DATA_DIR."""
    db_secret_arn: str | None = None
    """Secrets Manager secret with the index's host, port, username, password and dbname, as RDS writes it."""
    db_tls: Literal["preferred", "required", "verify"] = "preferred"
    """TLS to a database server: where it is offered, always, or always with certificate and name checked."""
    db_tls_ca: Path | None = None
    """PEM file of the authorities for DB_TLS=verify; unset: those of the system."""
    db_statement_timeout: float = Field(default=20, gt=0, le=3600)
    """Seconds that one search or lookup may take in a database server before it is a 503."""
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
    cache_root: Path | None = None
    """Frame store and metadata cache; unset: `cache` in DATA_DIR."""
    cache_max_bytes: int | None = Field(default=None, ge=1 << 20)
    """Bytes of the frame store; unset: 20 GB or half of the free disk, whichever is less."""
    level_cache_bytes: int = Field(default=32 << 20, ge=0)
    """Bytes of memory of each web process for the smallest levels of frames that were asked; 0: none."""
    enable_local_nodecache: bool = True
    """The AWS sample's name: `false` keeps no levels of frames in memory."""
    memcached_address: CommaList = ()
    """memcached servers (host:port) that the hosts of one service share; `null` is none."""
    redis_url: SecretStr | None = None
    """Redis server (redis:// or rediss://) that they share instead."""
    enable_amazon_elasticache: bool = True
    """The AWS sample's name: `false` uses neither."""
    shared_cache_timeout: float = Field(default=0.05, gt=0, le=5)
    """Seconds that a request waits for the shared cache at most."""
    shared_cache_seconds: int = Field(default=604_800, ge=1, le=2_592_000)
    """Seconds that a value is kept there."""
    shared_cache_item_bytes: int = Field(default=1_000_000, ge=1024, le=64 << 20)
    """Bytes of one value there at most; memcached refuses those over 1 MB unless told otherwise."""
    cdn_caching: Literal["private", "per-caller", "shared"] | None = None
    """Who may keep answers of HealthImaging's own addresses: `private` the client, `per-caller` also a cache
    that keeps callers apart, `shared` also one that does not; unset: `per-caller` while no login is asked,
    else `private`."""
    rendered_cache_bytes: int = Field(default=512 << 20, ge=0)
    """Bytes on disk of rendered images that were asked twice, to be sent again; 0: none are kept."""
    web_processes: int | None = Field(default=None, ge=1, le=256)
    """Web processes; unset: one per core, at most 8."""
    web_threads: int = Field(default=64, ge=4, le=1024)
    """Worker threads of each web process; metadata take three eighths of them at most."""
    max_streams: int | None = Field(default=None, ge=1, le=65536)
    """Answers over 1 MB that are made while they go out, of each web process; unset: two per web thread."""
    fetcher_processes: int | None = Field(default=None, ge=1, le=64)
    """Frame fetchers; unset: 1 up to two cores, else 2."""
    fetches_in_flight: int = Field(default=32, ge=1, le=512)
    """GetImageFrame requests that one fetcher has under way at most."""
    frame_rate_limit: float = Field(default=950, ge=0)
    """GetImageFrame calls a second to one data store, over all processes of a host; 0 for any number."""
    metadata_rate_limit: float = Field(default=45, ge=0)
    """GetImageSetMetadata calls a second to one data store, likewise; AHI's quota is 50. 0: any."""
    prefetch: bool = True
    """Fetch the frames of an opened series ahead of demand."""
    index_cache_seconds: float = Field(default=10, ge=0, le=3600)
    """How long a web process may trust what it read from the index."""
    metadata_ttl: float = Field(default=60, ge=0)
    """Seconds that a metadata document of unknown version is trusted."""
    verify_checksums: Literal["always", "off"] = "always"
    """Compare each fetched frame's CRC-32 with the image set metadata before it is used."""
    cors_origins: CommaList = ()
    """Origins that may read answers in a browser, `*.` standing for one label of a host name, `*` for all;
    empty: loopback origins while no login is asked, else all."""
    cors_credentials: bool = False
    """Pages of CORS_ORIGINS may send the browser's own credentials (HTTP basic, cookies of a proxy)."""
    cross_origin_resource_policy: Literal["cross-origin", "same-site", "same-origin"] = "cross-origin"
    """Which pages may embed answers as images and the like (H-4)."""
    hsts_seconds: int = Field(default=0, ge=0)
    """Seconds that browsers which came by TLS, as a trusted proxy says, use nothing else; 0: not told."""
    allowed_hosts: CommaList = ()
    """Further host names that a gateway without login answers to: beside loopback names, addresses, and the
    names in HOST and PUBLIC_URL."""
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
    audit_log: Path | None = None
    """File of the audit log, `off` for none; unset: `audit.log` in DATA_DIR while a login is asked."""
    audit_required: bool = False
    """Answer 503 while the audit log cannot be written."""
    access_rules: Path | None = None
    """TOML file that says which callers see what; unset: all who are known may read everything."""
    max_results: int = Field(default=5000, ge=1)
    """Rows of one search answer at most (Q-34)."""
    hard_max_results: int | None = Field(default=None, ge=1)
    """Matches above which a search without a limit is refused with 413 (Q-39); unset: never."""
    empty_status: Literal[200, 204] = 200
    """Status of a search without a match: 200 with an empty list, or 204 (Q-41)."""
    strict_query: bool = False
    """Refuse unknown query parameters instead of warning about them (Q-4)."""
    time_zone: str = "UTC"
    """Zone of moments (DT) that name no offset, in queries and in data: an IANA name, or an offset (Q-20)."""
    fuzzy_phonetic: bool = False
    """`fuzzymatching=true` finds names also by words that sound like those asked for (Q-27)."""
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
    decode_timeout: float = Field(default=30, ge=1, le=3600)
    """Seconds that decoding one frame may take before its decoder process is killed."""
    slow_request_seconds: float = Field(default=5, ge=0)
    """Seconds before the answer begins above which a request is logged with where its time went; 0: none."""
    server_timing: bool = True
    """Tell in each answer's Server-Timing header where its time went."""
    metrics_from: CommaList = ()
    """Addresses and networks that may read `/metrics` without a login, such as Prometheus' own."""
    watch_metrics: str | None = None
    """Where `index watch` tells its numbers (`host:port`, `/metrics`), to METRICS_FROM and this machine."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe message that is logged; no level logs patient data."""
    log_format: Literal["text", "json"] | None = None
    """Unset: text on a terminal, JSON lines otherwise."""
    access_log: Path | None = None
    """File of the access log, `off` for none; unset: its lines stand in the log, at level info."""

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

    @field_validator(
        "ae_path",
        "ahi_datastore_ids",
        "cors_origins",
        "allowed_hosts",
        "memcached_address",
        "metrics_from",
        mode="before",
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split_list(value)

    @field_validator("empty_status", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        return int(value) if isinstance(value, str) and value.isdecimal() else value

    @field_validator("ae_path")
    @classmethod
    def _clean_paths(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        cleaned = tuple("/" + path.strip("/") for path in paths)
        if not cleaned or "/" in cleaned:
            raise ValueError("needs at least one base path that is not the root")
        return cleaned

    @field_validator("memcached_address")
    @classmethod
    def _servers(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        servers = tuple(one for one in addresses if one.lower() not in ("null", "none"))
        for one in servers:
            host_and_port(one)
        return servers

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not _is_redis(url.get_secret_value()):
            raise ValueError("must be a redis:// or rediss:// URL with a host")
        return url

    @field_validator("metrics_from")
    @classmethod
    def _scrapers(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            ip_network(network, strict=False)
        return networks

    @field_validator("watch_metrics")
    @classmethod
    def _numbers_of_the_watcher(cls, address: str | None) -> str | None:
        if address is not None:
            host_and_port(address)
        return address

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(listed_origin, origins))

    @field_validator("public_url")
    @classmethod
    def _absolute(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError("must be an absolute http or https URL")
        return url

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, name: str) -> str:
        if parse_zone(name) is None:
            raise ValueError(
                "must be an IANA time zone such as Europe/Berlin, or an offset from UTC such as +0100"
            )
        return name

    @field_validator("db_secret_arn")
    @classmethod
    def _secret(cls, arn: str | None) -> str | None:
        if arn is not None and not SECRET_ARN.fullmatch(arn):
            raise ValueError("must be the ARN of a Secrets Manager secret")
        return arn

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.database_url is not None and self.db_secret_arn is not None:
            raise ValueError("DATABASE_URL and DB_SECRET_ARN exclude each other")
        if self.memcached_address and self.redis_url is not None:
            raise ValueError("MEMCACHED_ADDRESS and REDIS_URL exclude each other")
        if self.db_tls_ca is not None and self.db_tls != "verify":
            raise ValueError("DB_TLS_CA needs DB_TLS=verify")
        if self.cors_credentials and (not self.cors_origins or ANY in self.cors_origins):
            raise ValueError("CORS_CREDENTIALS needs CORS_ORIGINS that names each origin, without *")
        if self.client_rate_burst is not None and self.client_rate_limit == 0:
            raise ValueError("CLIENT_RATE_BURST means nothing with CLIENT_RATE_LIMIT=0")
        if self.audit_required and self.audit_path is None:
            raise ValueError("AUDIT_REQUIRED needs AUDIT_LOG")
        return self

    @property
    def audit_path(self) -> Path | None:
        """The file of the audit log, None where none is written."""
        if self.audit_log is not None:
            return None if str(self.audit_log).lower() in ("off", "none") else self.audit_log
        return self.data_dir / "audit.log" if self.has_login else None

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

    @property
    def answered_hosts(self) -> tuple[str, ...]:
        """Host names, in lower case, that are answered while no login is asked: those that settings name."""
        named = [*self.allowed_hosts, self.host, urlsplit(self.public_url or "").hostname]
        return tuple(dict.fromkeys(name.lower() for name in named if name))

    @property
    def allowed_datastores(self) -> frozenset[str] | None:
        """The data stores that may be read, indexed and served; None: all."""
        return frozenset(self.ahi_datastore_ids) or None

    @property
    def listen_host(self) -> str:
        """Where to listen."""
        return self.host or ("0.0.0.0" if self.has_login else "127.0.0.1")  # noqa: S104  (DESIGN 4)

    @property
    def tokens_path(self) -> Path:
        """The file of static tokens."""
        return self.tokens_file or self.data_dir / "tokens.toml"

    @property
    def users_path(self) -> Path:
        """The file of users and their passwords."""
        return self.users_file or self.data_dir / "users.toml"

    @property
    def is_exposed(self) -> bool:
        """Whether others than this machine can reach the gateway."""
        try:
            return not ip_address(self.listen_host).is_loopback
        except ValueError:
            return self.listen_host != "localhost"

    @property
    def index_url(self) -> str:
        """URL of the index for `make_engine`, password included; TLS and secret are parameters of it."""
        if self.db_secret_arn is not None:
            return self._with_tls("mysql+pymysql://", {"secret_arn": self.db_secret_arn})
        if self.database_url is None:
            return f"sqlite:///{self.data_dir / 'index.sqlite'}"
        url = self.database_url.get_secret_value()
        return url if url.startswith("sqlite") else self._with_tls(url, {})

    def _with_tls(self, url: str, parameters: dict[str, str]) -> str:
        if self.db_tls != "preferred":
            parameters["tls"] = self.db_tls
        if self.db_tls_ca is not None:
            parameters["tls_ca"] = str(self.db_tls_ca)
        return f"{url}{'&' if '?' in url else '?'}{urlencode(parameters)}" if parameters else url

    @property
    def zone(self) -> tzinfo:
        """The time zone that TIME_ZONE names."""
        return parse_zone(self.time_zone) or UTC

    @property
    def cache_folder(self) -> Path:
        """Root of frame store and metadata cache, as the running gateway has claimed it."""
        return CLAIMS.folder(self.whole_cache)

    @property
    def spool_folder(self) -> Path:
        """Where answers and bodies lie that are too long for memory, while they are made or served."""
        return self.cache_folder / "spool"

    @property
    def whole_cache(self) -> Path:
        """CACHE_ROOT, which several gateways may share."""
        return self.cache_root or self.data_dir / "cache"

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
    def level_bytes(self) -> int:
        """Memory of one web process for levels of frames."""
        return self.level_cache_bytes if self.enable_local_nodecache else 0

    @property
    def who_may_cache(self) -> Literal["private", "per-caller", "shared"]:
        """CDN_CACHING, or what stands for it: with a login nothing is shared unasked."""
        return self.cdn_caching or ("private" if self.has_login else "per-caller")

    @property
    def web_process_count(self) -> int:
        """Web processes to fork."""
        return self.web_processes or min(8, _cores())

    @property
    def cores(self) -> int:
        """Processor cores that this gateway may use."""
        return _cores()

    @property
    def decoder_count(self) -> int:
        """Decoder processes beside each web process and fetcher; two at least, so that one may hang."""
        return max(2, _cores() // self.web_process_count)

    @property
    def stream_count(self) -> int:
        """Long answers that one web process has under way at most."""
        return self.max_streams or 2 * self.web_threads

    @property
    def fetcher_count(self) -> int:
        """Frame fetchers to fork."""
        return self.fetcher_processes or (1 if _cores() <= 2 else 2)


def _is_redis(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("redis", "rediss") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


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
