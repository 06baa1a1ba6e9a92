"""Tickets that browsers who have logged in give to viewers, each for one study."""

from alembic import op
from sqlalchemy import BigInteger, Column, Index, MetaData, String, Table, Text
from sqlalchemy.dialects import mysql

revision = "0009_from_0006"
down_revision = "0008_from_0006"
branch_labels = None
depends_on = None

metadata = MetaData()

Table(
    "gateway_ticket",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("of_session", String(64), nullable=False),
    Column("owner", String(64), nullable=False),
    Column("content", Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb"), nullable=False),
    Column("begun_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    Index("gateway_ticket_session", "of_session"),
    Index("gateway_ticket_owner", "owner"),
    Index("gateway_ticket_ends", "ends_at"),
    Index("gateway_ticket_seen", "seen_at"),
    mysql_charset="utf8mb4",
    mysql_collate="utf8mb4_bin",
    mysql_engine="InnoDB",
)


def upgrade() -> None:
    metadata.create_all(op.get_bind())
