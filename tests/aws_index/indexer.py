"""Rows made the way the AWS Lambda makes them, by its own kinds of statements (healthimaging.md 6.2, 6.3).

Written from their description: the column list is read from INFORMATION_SCHEMA, every column found is
written, those it knows nothing of as NULL; `imageset`, `frame` and `conflict` are inserted by position. In
place of the row alias of MySQL 8.0.19, which MariaDB does not parse, stands VALUES(column).
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

Tags = dict[str, Any]

_PARENTS = {"patient": "issuer", "study": "patient", "series": "study", "instance": "series"}


def put_image_set(
    connection: Connection,
    document: dict[str, Any],
    *,
    instance_level: bool = True,
    frame_level: bool = False,
) -> None:
    """One image set metadata document (decoded JSON), as one Lambda call writes it."""
    patient, study = document["Patient"]["DICOM"], document["Study"]["DICOM"]
    issuer = str(patient.get("IssuerOfPatientID", "DEFAULT_DOMAIN"))
    issuer_pkey = _upsert(connection, "issuer", {"IssuerOfPatientID": issuer}, {})
    patient = {"PatientID": "NO_PID", **patient}
    patient_pkey = _upsert(connection, "patient", patient, {"issuer_pkey": issuer_pkey})
    study_pkey = _upsert(connection, "study", study, {"patient_pkey": patient_pkey})
    for uid, series in document["Study"]["Series"].items():
        tags = {**series["DICOM"], "SeriesInstanceUID": uid}
        series_pkey = _upsert(connection, "series", tags, {"study_pkey": study_pkey})
        imageset_pkey = _put_imageset(connection, series_pkey, document)
        if not instance_level:
            # the flag's variable is unset then: the call fails here, what was written stays (flaw 7)
            return
        for instance in series["Instances"].values():
            keys = {"series_pkey": series_pkey, "imageset_pkey": imageset_pkey}
            instance_pkey = _upsert(connection, "instance", instance["DICOM"], keys)
            if frame_level:
                _put_frames(connection, instance_pkey, imageset_pkey, instance["ImageFrames"])
        _count(connection, study_pkey, series_pkey)


def _upsert(connection: Connection, table: str, tags: Tags, keys: dict[str, int]) -> int:
    """Insert or overwrite every column; the row's key."""
    by_column = {keyword.lower(): value for keyword, value in tags.items()}
    values: dict[str, Any] = {}
    for name, kind in _columns(connection, table):
        if name != f"{table}_pkey":
            found = by_column.get(name, _ABSENT)
            values[name] = keys.get(name, None if found is _ABSENT else _value(found, kind))
    names = ", ".join(f"`{name}`" for name in values)
    marks = ", ".join(f":{name}" for name in values)
    new = ", ".join(f"`{name}` = VALUES(`{name}`)" for name in values)
    statement = f"INSERT INTO {table} ({names}) VALUES ({marks}) ON DUPLICATE KEY UPDATE {new}"
    connection.execute(text(statement), values)
    unique = {
        "issuer": ("issuerofpatientid",),
        "patient": ("patientid", "issuer_pkey"),
        "study": ("studyinstanceuid",),
        "series": ("seriesinstanceuid",),
        "instance": ("sopinstanceuid",),
    }[table]
    where = " AND ".join(f"{name} = :{name}" for name in unique)
    query = text(f"SELECT {table}_pkey FROM {table} WHERE {where}")
    return int(connection.execute(query, {name: values[name] for name in unique}).scalar_one())


_ABSENT = object()


def _columns(connection: Connection, table: str) -> list[tuple[str, str]]:
    """Names and types; of this database only, unlike the original, whose tests would break beside others."""
    query = text(
        "SELECT lower(column_name), lower(data_type) FROM information_schema.columns "
        "WHERE table_name = :table AND table_schema = database() ORDER BY ordinal_position"
    )
    return [(row[0], row[1]) for row in connection.execute(query, {"table": table})]


def _value(value: Any, kind: str) -> Any:
    """A tag as the column's value: `str` of everything for text, strict forms for dates and times."""
    try:
        if kind in ("int", "bigint"):
            return int(value)
        if kind in ("varchar", "text"):
            return str(value)
        if kind == "date":
            return datetime.strptime(value, "%Y%m%d").date()
        if kind == "time":
            return datetime.strptime(value, "%H%M%S").time()
    except (TypeError, ValueError):
        return None
    return None


def _put_imageset(connection: Connection, series_pkey: int, document: dict[str, Any]) -> int:
    values = {"s": series_pkey, "i": document["ImageSetID"], "d": document["DatastoreID"]}
    connection.execute(
        text(
            "INSERT INTO imageset VALUES (NULL, :s, :i, :d) "
            "ON DUPLICATE KEY UPDATE series_pkey = VALUES(series_pkey)"
        ),
        values,
    )
    query = text("SELECT imageset_pkey FROM imageset WHERE imagesetid = :i AND datastoreid = :d")
    key = int(connection.execute(query, {"i": values["i"], "d": values["d"]}).scalar_one())
    query = text("SELECT imageset_pkey FROM imageset WHERE series_pkey = :s")
    sets = connection.execute(query, {"s": series_pkey}).scalars().all()
    for other in sets if len(sets) == 2 else [key] if len(sets) > 2 else []:
        connection.execute(
            text("INSERT INTO conflict VALUES (NULL, :s, :i, 1, NULL)"), {"s": series_pkey, "i": other}
        )
    return key


def _put_frames(connection: Connection, instance_pkey: int, imageset_pkey: int, frames: list[Tags]) -> None:
    for number, frame in enumerate(frames, 1):
        connection.execute(
            text(
                "INSERT INTO frame VALUES (NULL, :i, :s, :n, :f) "
                "ON DUPLICATE KEY UPDATE instance_pkey = VALUES(instance_pkey)"
            ),
            {"i": instance_pkey, "s": imageset_pkey, "n": number, "f": frame["ID"]},
        )


def _count(connection: Connection, study_pkey: int, series_pkey: int) -> None:
    connection.execute(
        text(
            "UPDATE series SET numberofseriesrelatedinstances = "
            "(SELECT count(*) FROM instance WHERE series_pkey = :s) WHERE series_pkey = :s"
        ),
        {"s": series_pkey},
    )
    connection.execute(
        text(
            "UPDATE study SET numberofstudyrelatedseries = "
            "(SELECT count(*) FROM series WHERE study_pkey = :s), "
            "numberofstudyrelatedinstances = (SELECT count(*) FROM instance JOIN series USING (series_pkey) "
            "WHERE study_pkey = :s) WHERE study_pkey = :s"
        ),
        {"s": study_pkey},
    )
