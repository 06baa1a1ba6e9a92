"""The settings of what is written down: logs, the audit log and numbers."""

from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from dicomweb_gateway.setting_groups.lists import CommaList, split_list
from dicomweb_gateway.setting_groups.place import PlaceSettings
from dicomweb_gateway.shared.addresses import host_and_port


class RecordSettings(PlaceSettings):
    """What is written down, where, and who may read numbers."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe message that is logged; no level logs patient data."""
    log_format: Literal["text", "json"] | None = None
    """Unset: text on a terminal, JSON lines otherwise."""
    access_log: Path | None = None
    """File of the access log, `off` for none; unset: its lines stand in the log, at level info."""
    audit_log: Path | None = None
    """File of the audit log, `off` for none; unset: `audit.log` in DATA_DIR while a login is asked."""
    audit_required: bool = False
    """Answer 503 while the audit log cannot be written."""
    slow_request_seconds: float = Field(default=5, ge=0)
    """Seconds before the answer begins above which a request is logged with where its time went; 0: none."""
    server_timing: bool = True
    """Tell in each answer's Server-Timing header where its time went."""
    metrics_from: CommaList = ()
    """Addresses and networks that may read `/metrics` without a login, such as Prometheus' own."""
    watch_metrics: str | None = None
    """Where `index watch` tells its numbers (`host:port`, `/metrics`), to METRICS_FROM and this machine."""

    @field_validator("metrics_from", mode="before")
    @classmethod
    def _split_scrapers(cls, value: Any) -> Any:
        return split_list(value)

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

    @model_validator(mode="after")
    def _audit_somewhere(self) -> Self:
        if self.audit_required and self.audit_path is None:
            raise ValueError("AUDIT_REQUIRED needs AUDIT_LOG")
        return self

    @property
    def audit_path(self) -> Path | None:
        """The file of the audit log, None where none is written."""
        if self.audit_log is not None:
            return None if str(self.audit_log).lower() in ("off", "none") else self.audit_log
        return self.data_dir / "audit.log" if self.has_login else None
