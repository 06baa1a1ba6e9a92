"""How the words of person names sound, for fuzzy matching: rows of their own beside the words.

What is indexed already gets them here, in batches of studies. No table changes, so that all of it is one
transaction on every database; what a run left behind would be made anew all the same.
"""

import re
from collections.abc import Iterator
from typing import Any

from alembic import op
from jellyfish import metaphone
from sqlalchemy import BigInteger, Column, Connection, Integer, MetaData, String, Table, insert, select

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

Key = BigInteger().with_variant(Integer(), "sqlite")
STUDIES = 2000
SOUND_KEYWORDS = {
    "PatientName": "PatientName/sound",
    "ReferringPhysicianName": "ReferringPhysicianName/sound",
}

word_table = Table(
    "gateway_name_word",
    MetaData(),
    Column("study_key", Key, primary_key=True),
    Column("keyword", String(64), primary_key=True),
    Column("word", String(128), primary_key=True),
)
word = word_table.c


def upgrade() -> None:
    connection = op.get_bind()
    connection.execute(word_table.delete().where(word.keyword.in_(list(SOUND_KEYWORDS.values()))))
    last = 0
    while True:
        keys = select(word.study_key).distinct().where(word.study_key > last)
        studies = connection.execute(keys.order_by(word.study_key).limit(STUDIES)).scalars().all()
        if not studies:
            return
        last = studies[-1]
        _fill(connection, studies[0], last)


def _fill(connection: Connection, first: int, last: int) -> None:
    rows = connection.execute(select(word_table).where(word.study_key.between(first, last))).all()
    sounds = dict.fromkeys(
        (row.study_key, SOUND_KEYWORDS[row.keyword], _sound(row.word))
        for row in rows
        if row.keyword in SOUND_KEYWORDS
    )
    for part in _portions([one for one in sounds if one[2]]):
        connection.execute(
            insert(word_table), [{"study_key": s, "keyword": k, "word": w} for s, k, w in part]
        )


def _portions(rows: list[Any], size: int = 2000) -> Iterator[list[Any]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


# The rest is a copy of how codes were made when this revision was written, so that it stays what it is when
# the program changes.

_WITHIN_WORDS = str.maketrans("", "", "'’ʼ`.")
_LETTERS = re.compile(r"[a-z]{1,64}")
_SPELLINGS = (
    (re.compile("tsch|cz"), "ch"),
    (re.compile("sch"), "sh"),
    (re.compile("dt|th"), "t"),
    (re.compile("(?<=[aeiou])y(?=[aeiou])"), "i"),
)


def _sound(text: str) -> str:
    letters = text.translate(_WITHIN_WORDS)
    if not _LETTERS.fullmatch(letters):
        return ""
    for spelling, plain in _SPELLINGS:
        letters = spelling.sub(plain, letters)
    return metaphone(letters)
