"""Our own tables beside the AWS ones: all that searching and retrieval read (healthimaging.md 6.4).

    gateway_imageset          one image set: version, primary or not, state, the study variant it belongs to
     └ gateway_imageset_series   the series that it holds, also those whose instances another set gave
    gateway_study             one study as image sets of a data store describe it, word by word (a variant)
     ├ gateway_person_name       folded name groups, for matching
     ├ gateway_name_word         their words without diacritics, and how these sound, for fuzzy matching
     └ gateway_series            one series of that variant
        ├ gateway_request           items of RequestAttributesSequence
        └ gateway_instance          one instance, from the image set that wins (dicomweb.md Q-52)
           └ gateway_frame             its frames in order
    gateway_lock              rows that indexers lock, so that one study is written by one at a time
    gateway_secret            random secrets that all hosts of one service share
    gateway_session           browsers that have logged in, by the SHA-256 of a session's id
    gateway_ticket            tickets that these gave to viewers, by the SHA-256 of a ticket

A study normally has one variant. It has more when image sets of one Study Instance UID name different
patients, so that no answer mixes two people, or describe the study otherwise, or lie in different data
stores, so that nobody is told what only an image set says which they may not see; and when they say different
things of one series that access rules judge it by. `is_main` marks the variant that `/studies` shows (that of
the best image set). Likewise for a series.

Text compares byte by byte everywhere (utf8mb4_bin on MySQL), and holds stripped values; what is answered
comes from `attributes`, DICOM JSON of that level without bulk data.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects import mysql

from dicomweb_gateway.index.tables import TEXT_LENGTH, Clock, Key, side_table

LOCK_SLOTS = 64
"""Rows of `gateway_lock`; an indexer holds the one that its study falls on."""

NAME_LENGTH = 512
"""Characters of a folded name group; longer ones are cut on both sides of a comparison."""

WORD_LENGTH = 128
"""Characters of one word of a name; longer ones are cut."""

SOUND = "/sound"
"""Ends the keyword of a row of `gateway_name_word` that holds a word's sound (`qido.sounds`).

Sounds lie among the words so that one index finds a name by either: databases take two ranges of one index
in one go, but not two indexes.
"""

MISSING_LAST = 2**62
"""Order value of a series or instance without a usable number (Q-37): behind all others."""

ACTIVE = "active"
STALE = "stale"
"""States of an image set; HealthImaging answered 404 for a stale one."""

_Stamp = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
_LongText = Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")


def _key(name: str) -> Column[int]:
    return Column(name, Key, primary_key=True, autoincrement=True)


def _owned_by(table: str, key: str, part_of_key: bool = False) -> Column[int]:
    target = ForeignKey(f"{table}.{key}", ondelete="CASCADE")
    return Column(key, Key, target, primary_key=part_of_key, autoincrement=False, nullable=False)


def _text(name: str, length: int = TEXT_LENGTH) -> Column[str]:
    return Column(name, String(length))


def _uid(name: str) -> Column[str]:
    return Column(name, String(64), nullable=False)


gateway_study = side_table(
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
    Column("attributes", _LongText, nullable=False),
    UniqueConstraint("study_uid", "patient_key", name="gateway_study_unique"),
    Index("gateway_study_latest", "is_main", "studydate", "studytime", "study_uid"),
    Index("gateway_study_patientid", "patientid"),
    Index("gateway_study_issuer", "issuerofpatientid", "is_main", "studydate", "studytime", "study_uid"),
    Index("gateway_study_accessionnumber", "accessionnumber"),
    Index("gateway_study_studyid", "studyid"),
    Index("gateway_study_birthdate", "patientbirthdate"),
    Index("gateway_study_description", "studydescription"),
)

gateway_person_name = side_table(
    "gateway_person_name",
    _owned_by("gateway_study", "study_key", part_of_key=True),
    Column("keyword", String(64), primary_key=True),
    Column("groupnumber", Integer, primary_key=True, autoincrement=False),
    Column("folded", String(NAME_LENGTH), nullable=False),
    Index("gateway_person_name_folded", "keyword", "folded"),
)

gateway_name_word = side_table(
    "gateway_name_word",
    _owned_by("gateway_study", "study_key", part_of_key=True),
    Column("keyword", String(64), primary_key=True),
    Column("word", String(WORD_LENGTH), primary_key=True),
    Index("gateway_name_word_word", "keyword", "word", "study_key"),
)

gateway_imageset = side_table(
    "gateway_imageset",
    _key("imageset_key"),
    Column("datastoreid", String(64), nullable=False),
    Column("imagesetid", String(64), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("is_primary", Boolean),
    Column("updated_at", _Stamp),
    Column("indexed_at", _Stamp, nullable=False),
    Column("state", String(16), nullable=False),
    _uid("study_uid"),
    Column("study_key", Key),
    UniqueConstraint("datastoreid", "imagesetid", name="gateway_imageset_unique"),
    Index("gateway_imageset_study", "study_uid"),
)

gateway_imageset_series = side_table(
    "gateway_imageset_series",
    _owned_by("gateway_imageset", "imageset_key", part_of_key=True),
    Column("series_uid", String(64), primary_key=True),
    Index("gateway_imageset_series_uid", "series_uid"),
)

gateway_series = side_table(
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
    Column("attributes", _LongText, nullable=False),
    UniqueConstraint("study_key", "series_uid", name="gateway_series_unique"),
    Index("gateway_series_uid", "series_uid"),
    Index("gateway_series_study", "study_uid", "series_order", "series_uid"),
    Index("gateway_series_study_modality", "study_uid", "modality"),
    Index("gateway_series_modality", "modality", "study_uid"),
    Index("gateway_series_order", "is_main", "series_order", "series_uid"),
)

gateway_request = side_table(
    "gateway_request",
    _owned_by("gateway_series", "series_key", part_of_key=True),
    Column("item", Integer, primary_key=True, autoincrement=False),
    _text("scheduledprocedurestepid"),
    _text("requestedprocedureid"),
    Index("gateway_request_step", "scheduledprocedurestepid"),
    Index("gateway_request_procedure", "requestedprocedureid"),
)

gateway_instance = side_table(
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
    Column("attributes", _LongText, nullable=False),
    Column("acquisitiondatetime", _Stamp),
    UniqueConstraint("series_key", "instance_uid", name="gateway_instance_unique"),
    Index("gateway_instance_uid", "instance_uid"),
    Index("gateway_instance_imageset", "imageset_key"),
    Index("gateway_instance_series_order", "series_key", "instance_order", "instance_uid"),
    Index("gateway_instance_order", "instance_order", "instance_uid"),
)

gateway_frame = side_table(
    "gateway_frame",
    _owned_by("gateway_instance", "instance_key", part_of_key=True),
    Column("framenumber", Integer, primary_key=True, autoincrement=False),
    Column("frameid", String(64), nullable=False),
    Column("checksum", BigInteger),
    Index("gateway_frame_frameid", "frameid"),
)

gateway_secret = side_table(
    "gateway_secret",
    Column("name", String(64), primary_key=True),
    Column("value", String(128), nullable=False),
)

gateway_session = side_table(
    "gateway_session",
    Column("digest", String(64), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("content", _LongText, nullable=False),
    Column("begun_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    Index("gateway_session_owner", "owner"),
    Index("gateway_session_ends", "ends_at"),
    Index("gateway_session_seen", "seen_at"),
)

gateway_ticket = side_table(
    "gateway_ticket",
    Column("digest", String(64), primary_key=True),
    Column("of_session", String(64), nullable=False),
    Column("owner", String(64), nullable=False),
    Column("content", _LongText, nullable=False),
    Column("begun_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    Index("gateway_ticket_session", "of_session"),
    Index("gateway_ticket_owner", "owner"),
    Index("gateway_ticket_ends", "ends_at"),
    Index("gateway_ticket_seen", "seen_at"),
)

gateway_lock = side_table("gateway_lock", Column("slot", Integer, primary_key=True, autoincrement=False))
