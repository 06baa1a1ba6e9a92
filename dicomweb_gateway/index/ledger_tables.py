"""Tables that the indexer keeps for itself: what failed, what was removed, when it last ran.

    gateway_failure     an image set that could not be indexed: reason and attempts, until it succeeds
    gateway_tombstone   an instance that was in the index and is gone: answered 410 for a while
    gateway_sync        one row a data store: the last synchronisation, finished or not

Nothing here is needed for answering searches.
"""

from sqlalchemy import BigInteger, Column, DateTime, Index, Integer, String
from sqlalchemy.dialects import mysql

from dicomweb_gateway.index.tables import side_table

REASON_LENGTH = 1024
"""Characters of a failure's reason that are kept."""

_Stamp = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


gateway_failure = side_table(
    "gateway_failure",
    Column("datastoreid", String(64), primary_key=True),
    Column("imagesetid", String(64), primary_key=True),
    Column("version", BigInteger),
    Column("reason", String(REASON_LENGTH), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("first_at", _Stamp, nullable=False),
    Column("last_at", _Stamp, nullable=False),
)

gateway_tombstone = side_table(
    "gateway_tombstone",
    Column("study_uid", String(64), primary_key=True),
    Column("series_uid", String(64), primary_key=True),
    Column("instance_uid", String(64), primary_key=True),
    Column("removed_at", _Stamp, nullable=False),
    Index("gateway_tombstone_removed", "removed_at"),
)

gateway_sync = side_table(
    "gateway_sync",
    Column("datastoreid", String(64), primary_key=True),
    Column("started_at", _Stamp, nullable=False),
    Column("completed_at", _Stamp),
    Column("indexed", Integer, nullable=False),
    Column("unchanged", Integer, nullable=False),
    Column("removed", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
)
