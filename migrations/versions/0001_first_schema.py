"""The AWS metadata index (ahiindex) and the gateway's side tables, as they were at the first release.

Only what is missing is created, so that this also runs on a database that the AWS project made and filled
(healthimaging.md 6.4): tables that exist keep their columns and rows, get wider columns where ours are
wider, and the indexes they lack.
"""

from typing import Any

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Inspector,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    Time,
    UniqueConstraint,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.sql.schema import SchemaItem
from sqlalchemy.types import TypeEngine

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

metadata = MetaData()

Key = BigInteger().with_variant(Integer(), "sqlite")
Clock = Time().with_variant(mysql.TIME(fsp=6), "mysql", "mariadb")
Stamp = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
LongText = Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
TEXT_LENGTH = 256


def _text(name: str, length: int = TEXT_LENGTH, required: bool = False) -> Column[str]:
    return Column(name, String(length), nullable=not required)


def _uid(name: str) -> Column[str]:
    return Column(name, String(64), nullable=False)


def _key(name: str) -> Column[int]:
    return Column(name, Key, primary_key=True, autoincrement=True)


def _parent(table: str) -> Column[int]:
    name = f"{table}_pkey"
    return Column(name, Key, ForeignKey(f"{table}.{name}", ondelete="CASCADE"), nullable=False)


def _owned_by(table: str, key: str, part_of_key: bool = False) -> Column[int]:
    target = ForeignKey(f"{table}.{key}", ondelete="CASCADE")
    return Column(key, Key, target, primary_key=part_of_key, autoincrement=False, nullable=False)


def _aws_table(name: str, *items: SchemaItem) -> Table:
    return Table(name, metadata, _key(f"{name}_pkey"), *items, mysql_charset="utf8mb4", mysql_engine="InnoDB")


def _side_table(name: str, *items: SchemaItem) -> Table:
    return Table(
        name, metadata, *items, mysql_charset="utf8mb4", mysql_collate="utf8mb4_bin", mysql_engine="InnoDB"
    )


issuer = _aws_table(
    "issuer",
    _text("issuerofpatientid", required=True),
    _text("description", 1024),
    UniqueConstraint("issuerofpatientid", name="issuer_unique"),
)

_aws_table(
    "patient",
    _parent("issuer"),
    _text("patientid"),
    _text("patientname"),
    Column("patientbirthdate", Date),
    _text("patientsex", 16),
    Column("patientcomments", Text),
    UniqueConstraint("patientid", "issuer_pkey", name="patient_unique"),
    Index("patient_patientid", "patientid"),
    Index("patient_patientname", "patientname"),
)

_aws_table(
    "study",
    _parent("patient"),
    _text("studyinstanceuid", 64, required=True),
    _text("accessionnumber"),
    _text("studyid"),
    Column("studydate", Date),
    Column("studytime", Clock),
    _text("studydescription"),
    _text("referringphysicianname"),
    Column("numberofstudyrelatedseries", Integer),
    Column("numberofstudyrelatedinstances", Integer),
    UniqueConstraint("studyinstanceuid", name="study_unique"),
    Index("study_accessionnumber", "accessionnumber"),
    Index("study_date_time_uid", "studydate", "studytime", "studyinstanceuid"),
)

_aws_table(
    "series",
    _parent("study"),
    _text("seriesinstanceuid", 64, required=True),
    _text("modality", 16),
    _text("seriesnumber", 12),
    _text("seriesdescription"),
    _text("institutionname"),
    _text("bodypartexamined"),
    _text("stationname"),
    _text("manufacturer"),
    _text("protocolname"),
    _text("laterality", 16),
    Column("numberofseriesrelatedinstances", Integer),
    UniqueConstraint("seriesinstanceuid", name="series_unique"),
    Index("series_study_modality", "study_pkey", "modality"),
    Index("series_modality_study", "modality", "study_pkey"),
)

_aws_table(
    "instance",
    _parent("series"),
    _text("sopinstanceuid", 64, required=True),
    _text("sopclassuid", 64, required=True),
    _text("imagetype"),
    Column("instancenumber", Integer),
    Column("acquisitiondate", Date),
    Column("acquisitiontime", Clock),
    Column("contentdate", Date),
    Column("contenttime", Clock),
    _text("photometricinterpretation", 16),
    Column("numberofframes", Integer),
    Column("rows", Integer, quote=True),
    Column("columns", Integer, quote=True),
    Column("bitsallocated", Integer),
    Column("bitsstored", Integer),
    Column("highbit", Integer),
    _text("rescaleslope", 16),
    _text("rescaleintercept", 16),
    Column("pixelrepresentation", Integer),
    Column("windowcenter", Text),
    Column("windowwidth", Text),
    Column("observationtime", DateTime),
    _text("contentdescription"),
    Column("imageset_pkey", Key, nullable=False),
    UniqueConstraint("sopinstanceuid", name="instance_unique"),
    Index("instance_series_number", "series_pkey", "instancenumber"),
    Index("instance_imageset", "imageset_pkey"),
)

_aws_table(
    "frame",
    _parent("instance"),
    Column("imageset_pkey", Key, nullable=False),
    Column("framenumber", Integer, nullable=False),
    _text("frameid", 32, required=True),
    UniqueConstraint("frameid", name="frame_unique"),
    Index("frame_instance", "instance_pkey"),
    Index("frame_imageset", "imageset_pkey"),
)

_aws_table(
    "imageset",
    Column("series_pkey", Key, nullable=False),
    _text("imagesetid", 32, required=True),
    _text("datastoreid", 32, required=True),
    UniqueConstraint("imagesetid", "datastoreid", name="imageset_unique"),
    Index("imageset_datastoreid", "datastoreid"),
    Index("imageset_series", "series_pkey"),
)

_aws_table(
    "conflict",
    Column("series_pkey", Key, nullable=False),
    Column("imageset_pkey", Key, nullable=False),
    Column("priority", Integer, nullable=False),
    _text("conflict_type", 32),
)

_aws_table(
    "importjob",
    _text("sourceprefix", 2048, required=True),
    _text("manifestprefix", 2048, required=True),
    Column("submittedat", DateTime, nullable=False),
    Column("startedat", DateTime),
    Column("completedat", DateTime),
    Column("logicalstatus", Integer, nullable=False),
    _text("ahijobid", 32, required=True),
    Column("ahijobstatus", Integer),
)

_aws_table("imagetype", _text("type", 16, required=True))

_aws_table(
    "tag",
    Column("series_pkey", Key, nullable=False),
    Column("imageset_pkey", Key, nullable=False),
    Column("key", String(256), nullable=False, quote=True),
    _text("value", 256, required=True),
    _text("description", 1024),
)

_side_table(
    "gateway_study",
    _key("study_key"),
    _uid("study_uid"),
    Column("patient_key", String(64), nullable=False),
    Column("is_main", Boolean, nullable=False),
    Column("imageset_key", Key),
    _text("patientid"),
    _text("issuerofpatientid"),
    Column("patientbirthdate", Date),
    _text("patientsex"),
    _text("accessionnumber"),
    _text("studyid"),
    Column("studydate", Date),
    Column("studytime", Clock),
    _text("studydescription"),
    Column("series_count", Integer, nullable=False),
    Column("instance_count", Integer, nullable=False),
    Column("attributes", LongText, nullable=False),
    UniqueConstraint("study_uid", "patient_key", name="gateway_study_unique"),
    Index("gateway_study_latest", "is_main", "studydate", "studytime", "study_uid"),
    Index("gateway_study_patientid", "patientid"),
    Index("gateway_study_accessionnumber", "accessionnumber"),
)

_side_table(
    "gateway_person_name",
    _owned_by("gateway_study", "study_key", part_of_key=True),
    Column("keyword", String(64), primary_key=True),
    Column("groupnumber", Integer, primary_key=True, autoincrement=False),
    Column("folded", String(512), nullable=False),
    Index("gateway_person_name_folded", "keyword", "folded"),
)

_side_table(
    "gateway_imageset",
    _key("imageset_key"),
    Column("datastoreid", String(64), nullable=False),
    Column("imagesetid", String(64), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("is_primary", Boolean),
    Column("updated_at", Stamp),
    Column("indexed_at", Stamp, nullable=False),
    Column("state", String(16), nullable=False),
    _uid("study_uid"),
    Column("study_key", Key),
    UniqueConstraint("datastoreid", "imagesetid", name="gateway_imageset_unique"),
    Index("gateway_imageset_study", "study_uid"),
)

_side_table(
    "gateway_imageset_series",
    _owned_by("gateway_imageset", "imageset_key", part_of_key=True),
    Column("series_uid", String(64), primary_key=True),
    Index("gateway_imageset_series_uid", "series_uid"),
)

_side_table(
    "gateway_series",
    _key("series_key"),
    _owned_by("gateway_study", "study_key"),
    _uid("study_uid"),
    _uid("series_uid"),
    Column("is_main", Boolean, nullable=False),
    Column("imageset_key", Key),
    _text("modality"),
    Column("seriesnumber", BigInteger),
    Column("series_order", BigInteger, nullable=False),
    _text("seriesdescription"),
    _text("bodypartexamined"),
    _text("manufacturer"),
    _text("manufacturermodelname"),
    _text("institutionname"),
    _text("stationname"),
    _text("protocolname"),
    _text("laterality"),
    Column("seriesdate", Date),
    Column("seriestime", Clock),
    Column("performedprocedurestepstartdate", Date),
    Column("performedprocedurestepstarttime", Clock),
    Column("instance_count", Integer, nullable=False),
    Column("attributes", LongText, nullable=False),
    UniqueConstraint("study_key", "series_uid", name="gateway_series_unique"),
    Index("gateway_series_uid", "series_uid"),
    Index("gateway_series_study", "study_uid", "series_order", "series_uid"),
    Index("gateway_series_study_modality", "study_uid", "modality"),
    Index("gateway_series_modality", "modality", "study_uid"),
    Index("gateway_series_order", "is_main", "series_order", "series_uid"),
)

_side_table(
    "gateway_request",
    _owned_by("gateway_series", "series_key", part_of_key=True),
    Column("item", Integer, primary_key=True, autoincrement=False),
    _text("scheduledprocedurestepid"),
    _text("requestedprocedureid"),
    Index("gateway_request_step", "scheduledprocedurestepid"),
    Index("gateway_request_procedure", "requestedprocedureid"),
)

_side_table(
    "gateway_instance",
    _key("instance_key"),
    _owned_by("gateway_series", "series_key"),
    Column("imageset_key", Key, nullable=False),
    _uid("instance_uid"),
    _uid("sop_class_uid"),
    Column("instancenumber", BigInteger),
    Column("instance_order", BigInteger, nullable=False),
    Column("contentdate", Date),
    Column("numberofframes", Integer),
    Column("rows", Integer, quote=True),
    Column("columns", Integer, quote=True),
    _uid("transfer_syntax_uid"),
    Column("pixel_keyword", String(32)),
    Column("samples_per_pixel", Integer),
    Column("bits_allocated", Integer),
    Column("bits_stored", Integer),
    Column("high_bit", Integer),
    Column("pixel_representation", Integer),
    _text("photometric_interpretation", 32),
    Column("planar_configuration", Integer),
    Column("bytes_per_sample", Integer, nullable=False),
    Column("attributes", LongText, nullable=False),
    UniqueConstraint("series_key", "instance_uid", name="gateway_instance_unique"),
    Index("gateway_instance_uid", "instance_uid"),
    Index("gateway_instance_imageset", "imageset_key"),
    Index("gateway_instance_series_order", "series_key", "instance_order", "instance_uid"),
    Index("gateway_instance_order", "instance_order", "instance_uid"),
)

_side_table(
    "gateway_frame",
    _owned_by("gateway_instance", "instance_key", part_of_key=True),
    Column("framenumber", Integer, primary_key=True, autoincrement=False),
    Column("frameid", String(64), nullable=False),
    Column("checksum", BigInteger),
    Index("gateway_frame_frameid", "frameid"),
)

_side_table(
    "gateway_secret",
    Column("name", String(64), primary_key=True),
    Column("value", String(128), nullable=False),
)

lock = _side_table("gateway_lock", Column("slot", Integer, primary_key=True, autoincrement=False))


_PATIENT = """
    issuer.issuerofpatientid, issuer.description, patient.patientid, patient.patientname,
    patient.patientbirthdate, patient.patientsex, patient.patientcomments"""

_STUDY = """
    study.studyinstanceuid, study.accessionnumber, study.studyid, study.studydate, study.studytime,
    study.studydescription, study.referringphysicianname, study.numberofstudyrelatedseries,
    study.numberofstudyrelatedinstances"""

_SERIES = """
    series.seriesinstanceuid, series.modality, series.seriesnumber, series.seriesdescription,
    series.institutionname, series.bodypartexamined, series.manufacturer, series.protocolname,
    series.laterality, series.numberofseriesrelatedinstances"""

_JOINED = """
    issuer JOIN patient ON patient.issuer_pkey = issuer.issuer_pkey
    JOIN study ON study.patient_pkey = patient.patient_pkey"""

_MODALITIES = {
    "sqlite": """SELECT group_concat(modality, '/') FROM
        (SELECT DISTINCT modality FROM series WHERE series.study_pkey = study.study_pkey
         ORDER BY modality)""",
    "mysql": """SELECT group_concat(DISTINCT modality ORDER BY modality SEPARATOR '/')
        FROM series WHERE series.study_pkey = study.study_pkey""",
}


def upgrade() -> None:
    connection = op.get_bind()
    known = inspect(connection)
    present = set(known.get_table_names())
    for table in metadata.sorted_tables:
        if table.name in present:
            _widen(connection, known, table)
            _add_indexes(connection, known, table)
        else:
            table.create(connection)
    _seed(connection)
    _add_views(connection, set(known.get_view_names()))


def _widen(connection: Connection, known: Inspector, table: Table) -> None:
    """Columns of an existing table as wide as ours; SQLite takes any length anyway."""
    if connection.dialect.name == "sqlite":
        return
    existing = {column["name"]: column for column in known.get_columns(table.name)}
    for column in table.columns:
        found = existing.get(column.name)
        if found is not None and _is_wider(column.type, found["type"]):
            op.alter_column(
                table.name,
                column.name,
                type_=column.type,
                existing_type=found["type"],
                existing_nullable=found["nullable"],
            )


def _is_wider(ours: TypeEngine[Any], theirs: TypeEngine[Any]) -> bool:
    if isinstance(ours, String) and isinstance(theirs, String):
        return theirs.length is not None and (ours.length is None or ours.length > theirs.length)
    return isinstance(ours, Time) and isinstance(theirs, mysql.TIME) and not theirs.fsp


def _add_indexes(connection: Connection, known: Inspector, table: Table) -> None:
    """The indexes of `table` that no index or unique key of the existing table already serves."""
    served: list[list[str | None]] = [index["column_names"] for index in known.get_indexes(table.name)]
    served += [list(unique["column_names"]) for unique in known.get_unique_constraints(table.name)]
    for index in sorted(table.indexes, key=lambda wanted: str(wanted.name)):
        columns = [column.name for column in index.columns]
        if columns not in served:
            index.create(connection)


def _seed(connection: Connection) -> None:
    default = {"issuerofpatientid": "DEFAULT_DOMAIN"}
    found = select(issuer.c.issuer_pkey).where(issuer.c.issuerofpatientid == default["issuerofpatientid"])
    if connection.execute(found).first() is None:
        connection.execute(insert(issuer).values(default))
    if connection.execute(select(lock.c.slot)).first() is None:
        connection.execute(insert(lock), [{"slot": number} for number in range(64)])


def _add_views(connection: Connection, present: set[str]) -> None:
    modalities = _MODALITIES["sqlite" if connection.dialect.name == "sqlite" else "mysql"]
    series = f"{_JOINED} JOIN series ON series.study_pkey = study.study_pkey"
    views = {
        "full_series_view": f"{_PATIENT}, {_STUDY}, {_SERIES} FROM {series}",
        "full_study_view": f"{_PATIENT}, {_STUDY}, ({modalities}) AS modalitiesinstudy FROM {_JOINED}",
    }
    for name, query in views.items():
        if name not in present:
            connection.execute(text(f"CREATE VIEW {name} AS SELECT {query}"))
