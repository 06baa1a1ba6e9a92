"""How far rows of the AWS tables were compared with ours, and which of them our tables do not know.

On an index that our indexer has filled the comparison is done here once, in portions; where the AWS Lambda
alone has filled it there is nothing to compare with. PatientBirthDate and StudyID get an index in the AWS
tables, for searching what the Lambda alone wrote.
"""

from datetime import UTC, datetime
from typing import Any

from alembic import op
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    Integer,
    MetaData,
    String,
    Table,
    inspect,
    text,
)
from sqlalchemy.dialects import mysql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

PORTION = 20_000
MOST_NOTED = 5000

metadata = MetaData()
Key = BigInteger().with_variant(Integer(), "sqlite")
Stamp = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
BINARY: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mysql_engine": "InnoDB",
}

seen = Table(
    "gateway_seen",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("upto", Key, nullable=False),
    Column("next_upto", Key, nullable=False),
    Column("noted_at", Stamp, nullable=False),
    **BINARY,
)

unknown = Table(
    "gateway_unknown_row",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("pkey", Key, primary_key=True, autoincrement=False),
    **BINARY,
)

INDEXES = {
    "patient_birthdate": ("patient", "patientbirthdate"),
    "study_studyid": ("study", "studyid"),
}

KNOWN = {
    "imageset": "SELECT 1 FROM gateway_imageset k "
    "WHERE k.datastoreid = t.datastoreid AND k.imagesetid = t.imagesetid",
    "instance": "SELECT 1 FROM gateway_instance k WHERE k.instance_uid = t.sopinstanceuid",
}


def upgrade() -> None:
    # MySQL commits each change of the schema by itself: after a break it must be possible to start again.
    connection = op.get_bind()
    metadata.create_all(connection)
    for name, (table, column) in INDEXES.items():
        if name not in {index["name"] for index in inspect(connection).get_indexes(table)}:
            op.create_index(name, table, [column])
    if connection.dialect.name == "sqlite":
        return
    connection.execute(unknown.delete())
    connection.execute(seen.delete())
    if connection.execute(text("SELECT 1 FROM gateway_imageset LIMIT 1")).first() is not None:
        for kind in KNOWN:
            _compare(connection, kind)


def _compare(connection: Connection, kind: str) -> None:
    newest = connection.execute(text(f"SELECT COALESCE(MAX({kind}_pkey), 0) FROM {kind}")).scalar_one()  # noqa: S608
    within = (
        f"FROM {kind} t WHERE t.{kind}_pkey > :after AND t.{kind}_pkey <= :upto "
        f"AND NOT EXISTS ({KNOWN[kind]})"
    )
    count = text(f"SELECT COUNT(*) {within}")
    note = text(f"INSERT INTO gateway_unknown_row (kind, pkey) SELECT '{kind}', t.{kind}_pkey {within}")
    upto = noted = 0
    while upto < newest:
        portion = {"after": upto, "upto": min(upto + PORTION, newest)}
        noted += connection.execute(count, portion).scalar_one()
        if noted > MOST_NOTED:
            break
        connection.execute(note, portion)
        upto = portion["upto"]
    now = datetime.now(UTC).replace(tzinfo=None)
    connection.execute(seen.insert(), {"kind": kind, "upto": upto, "next_upto": upto, "noted_at": now})
