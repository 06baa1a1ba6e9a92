"""The settings of the index's database."""

from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlencode

from pydantic import Field, SecretStr, field_validator, model_validator

from dicomweb_gateway.setting_groups.pages import SECRET_ARN
from dicomweb_gateway.setting_groups.place import PlaceSettings


class DatabaseSettings(PlaceSettings):
    """Where the index lies, and how to get there."""

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
    index_cache_seconds: float = Field(default=10, ge=0, le=3600)
    """How long a web process may trust what it read from the index."""

    @field_validator("db_secret_arn")
    @classmethod
    def _secret(cls, arn: str | None) -> str | None:
        if arn is not None and not SECRET_ARN.fullmatch(arn):
            raise ValueError("must be the ARN of a Secrets Manager secret")
        return arn

    @model_validator(mode="after")
    def _one_database(self) -> Self:
        if self.database_url is not None and self.db_secret_arn is not None:
            raise ValueError("DATABASE_URL and DB_SECRET_ARN exclude each other")
        if self.db_tls_ca is not None and self.db_tls != "verify":
            raise ValueError("DB_TLS_CA needs DB_TLS=verify")
        return self

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
