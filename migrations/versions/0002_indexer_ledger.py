"""The indexer's own tables: failed image sets, tombstones of removed instances, the last synchronisations."""

from alembic import op
from sqlalchemy import BigInteger, Column, DateTime, Index, Integer, MetaData, String, Table
from sqlalchemy.dialects import mysql
from sqlalchemy.sql.schema import SchemaItem

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

metadata = MetaData()

Stamp = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def _table(name: str, *items: SchemaItem) -> None:
    Table(name, metadata, *items, mysql_charset="utf8mb4", mysql_collate="utf8mb4_bin", mysql_engine="InnoDB")


_table(
    "gateway_failure",
    Column("datastoreid", String(64), primary_key=True),
    Column("imagesetid", String(64), primary_key=True),
    Column("version", BigInteger),
    Column("reason", String(1024), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("first_at", Stamp, nullable=False),
    Column("last_at", Stamp, nullable=False),
)
_table(
    "gateway_tombstone",
    Column("study_uid", String(64), primary_key=True),
    Column("series_uid", String(64), primary_key=True),
    Column("instance_uid", String(64), primary_key=True),
    Column("removed_at", Stamp, nullable=False),
    Index("gateway_tombstone_removed", "removed_at"),
)
_table(
    "gateway_sync",
    Column("datastoreid", String(64), primary_key=True),
    Column("started_at", Stamp, nullable=False),
    Column("completed_at", Stamp),
    Column("indexed", Integer, nullable=False),
    Column("unchanged", Integer, nullable=False),
    Column("removed", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
)


def upgrade() -> None:
    metadata.create_all(op.get_bind())
