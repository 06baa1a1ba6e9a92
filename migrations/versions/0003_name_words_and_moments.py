"""Words of person names for fuzzy matching, and the acquisition moment of instances, in UTC.

Both are filled here for what is indexed already, in batches: the words from the folded names, the moments
from the instances' attributes.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from alembic import op
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    bindparam,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

metadata = MetaData()

Key = BigInteger().with_variant(Integer(), "sqlite")
Stamp = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
STUDIES, INSTANCES = 2000, 500
WORD_LENGTH = 128

Table("gateway_study", metadata, Column("study_key", Key, primary_key=True))

name = Table(
    "gateway_person_name",
    metadata,
    Column("study_key", Key, primary_key=True),
    Column("keyword", String(64), primary_key=True),
    Column("groupnumber", Integer, primary_key=True),
    Column("folded", String(512)),
)

instance = Table(
    "gateway_instance",
    metadata,
    Column("instance_key", Key, primary_key=True),
    Column("attributes", Text),
    Column("acquisitiondatetime", Stamp),
)

word_table = Table(
    "gateway_name_word",
    metadata,
    Column(
        "study_key",
        Key,
        ForeignKey("gateway_study.study_key", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("keyword", String(64), primary_key=True),
    Column("word", String(WORD_LENGTH), primary_key=True),
    Index("gateway_name_word_word", "keyword", "word", "study_key"),
    mysql_charset="utf8mb4",
    mysql_collate="utf8mb4_bin",
    mysql_engine="InnoDB",
)


def upgrade() -> None:
    # MySQL commits each change of the schema by itself: after a break it must be possible to start again.
    connection = op.get_bind()
    known = inspect(connection)
    if not known.has_table(word_table.name):
        word_table.create(connection)
    if "acquisitiondatetime" not in {column["name"] for column in known.get_columns("gateway_instance")}:
        op.add_column("gateway_instance", Column("acquisitiondatetime", Stamp))
    _fill_words(connection)
    _fill_moments(connection)


def _fill_words(connection: Connection) -> None:
    connection.execute(word_table.delete())
    last = 0
    while True:
        keys = select(name.c.study_key).distinct().where(name.c.study_key > last)
        studies = connection.execute(keys.order_by(name.c.study_key).limit(STUDIES)).scalars().all()
        if not studies:
            return
        first, last = studies[0], studies[-1]
        found = select(name.c.study_key, name.c.keyword, name.c.folded)
        rows = connection.execute(found.where(name.c.study_key.between(first, last))).all()
        words = dict.fromkeys(
            (row.study_key, row.keyword, word[:WORD_LENGTH]) for row in rows for word in _words(row.folded)
        )
        for part in _portions(list(words)):
            connection.execute(
                insert(word_table), [{"study_key": s, "keyword": k, "word": w} for s, k, w in part]
            )


def _fill_moments(connection: Connection) -> None:
    last = 0
    change = update(instance).where(instance.c.instance_key == bindparam("key"))
    change = change.values(acquisitiondatetime=bindparam("moment"))
    while True:
        after = select(instance.c.instance_key, instance.c.attributes).where(instance.c.instance_key > last)
        after = after.where(instance.c.attributes.like('%"0008002A"%'))
        rows = connection.execute(after.order_by(instance.c.instance_key).limit(INSTANCES)).all()
        if not rows:
            return
        last = rows[-1].instance_key
        read = ((row.instance_key, _moment(orjson.loads(row.attributes))) for row in rows)
        values = [{"key": key, "moment": moment} for key, moment in read if moment is not None]
        if values:
            connection.execute(change, values)


def _portions(rows: list[Any], size: int = 2000) -> Iterator[list[Any]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


# The rest is a copy of how words and moments were made when this revision was written, so that it stays
# what it is when the program changes.

_BETWEEN_WORDS = re.compile(r"[\s^=,\-]+")
_DIACRITICS = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]")
_PLAIN_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "æ": "ae", "œ": "oe", "þ": "th", "ı": "i", "ħ": "h"}
)
_MOMENT = re.compile(r"(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:\.(\d{1,6}))?([+-]\d{4})?", re.ASCII)


def _words(folded: str) -> Iterator[str]:
    for word in _BETWEEN_WORDS.split(folded):
        bare = _DIACRITICS.sub("", unicodedata.normalize("NFD", word)).translate(_PLAIN_LETTERS)
        if bare:
            yield unicodedata.normalize("NFC", bare)


def _value(attributes: dict[str, Any], key: str) -> str:
    values: Sequence[Any] = attributes.get(key, {}).get("Value") or [""]
    return str(values[0] or "")


def _moment(attributes: dict[str, Any]) -> datetime | None:
    match = _MOMENT.fullmatch(_value(attributes, "0008002A"))
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    zone = zone or _value(attributes, "00080201")
    if second == "60":
        second, fraction = "59", "999999"
    try:
        micro = int((fraction or "").ljust(6, "0"))
        parts = (int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0))
        return datetime(int(year), *parts, micro) - _offset(zone)
    except (ValueError, OverflowError):
        return None


def _offset(zone: str) -> timedelta:
    match = re.fullmatch(r"([+-])(\d\d)([0-5]\d)", zone, re.ASCII)
    if match is None:
        return timedelta()
    size = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return size if match[1] == "+" else -size
