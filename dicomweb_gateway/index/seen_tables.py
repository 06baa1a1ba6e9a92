"""How far the indexer has looked through rows of the AWS tables for some that our side tables do not know.

    gateway_seen          by kind of row: every row up to `upto` was looked at
    gateway_unknown_row   rows up to there that our tables did not know then

What comes behind `upto` is compared when it is asked for; so a search need not compare millions of rows to
find the few that only the AWS Lambda wrote (healthimaging.md 6.4).
"""

from sqlalchemy import Column, DateTime, String
from sqlalchemy.dialects import mysql

from dicomweb_gateway.index.tables import Key, side_table

IMAGE_SET, INSTANCE = "imageset", "instance"
"""Kinds of rows: those of the AWS tables of these names."""

gateway_seen = side_table(
    "gateway_seen",
    Column("kind", String(16), primary_key=True),
    Column("upto", Key, nullable=False),
    Column("next_upto", Key, nullable=False),
    Column("noted_at", DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb"), nullable=False),
)

gateway_unknown_row = side_table(
    "gateway_unknown_row",
    Column("kind", String(16), primary_key=True),
    Column("pkey", Key, primary_key=True, autoincrement=False),
)
