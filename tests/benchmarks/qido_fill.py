"""Fills an index with any number of studies, the same at every run: AWS tables and side tables, by LOAD DATA.

Every study has three series, each from an image set of its own, as HealthImaging's primary image sets are;
the first studies have instances and frames too. A fifth of the dates is scattered, the rest grows with the
keys, as in an archive that took over an old one.
"""

import datetime as dt
import re
import tempfile
from collections.abc import Callable, Iterator
from hashlib import md5
from pathlib import Path
from typing import Any

import pymysql
from sqlalchemy import Column, Table, create_engine, text
from sqlalchemy.engine import make_url

from dicomweb_gateway.index import rows as index_rows
from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index import tables as aws
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.qido.names import fold_name, name_words
from dicomweb_gateway.qido.sounds import sound_of
from tests.aws_index.schema import STATEMENTS
from tests.index.documents import document, instance

INSTANCES_OF, INSTANCES = 1000, 10
"""So many studies have so many instances a series."""

MODALITIES = ["CT"] * 30 + ["MR"] * 25 + ["CR"] * 20 + ["US"] * 15 + ["DX"] * 5 + ["MG"] * 3 + ["PT"] * 2
RARE, RARE_EVERY = "XC", 20_000
LAST_DAY = dt.date(2026, 1, 1)
DAYS = 5000
STORE = "0" * 32

_BEGIN = [
    "Mül", "Schnei", "Fisch", "We", "Mey", "Wag", "Beck", "Hoff", "Koch", "Rich", "Klein", "Wolf",
    "Neu", "Schwar", "Zimmer", "Brau", "Krü", "Hart", "Lang", "Schmitt", "Wern", "Krau", "Mei", "Leh",
]  # fmt: skip
_END = ["ler", "der", "er", "ber", "mann", "ner", "bach", "feld", "stein", "hardt", "ke", "sen", "au", "ing"]
_GIVEN = [
    "Anna", "Bernd", "Clara", "David", "Eva", "Franz", "Greta", "Hans", "Ida", "Jan", "Karla", "Leo",
    "Mia", "Noah", "Olga", "Paul", "Rosa", "Sven", "Thea", "Udo", "Vera", "Willi", "Zoe", "José",
]  # fmt: skip

_REGIONS = ["Chest", "Abdomen", "Head", "Knee", "Spine", "Pelvis", "Hand", "Heart", "Neck", "Hip"]


def noise(*words: object) -> int:
    """A number that looks random and is the same for the same words."""
    return int.from_bytes(md5(repr(words).encode(), usedforsecurity=False).digest()[:6], "big")


def patient_of(study: int) -> int:
    return study // 3


def patient_id(patient: int) -> str:
    return f"PAT{patient:08d}"


def patient_name(patient: int) -> str:
    mix = noise("name", patient)
    begin, mix = _BEGIN[mix % len(_BEGIN)], mix // len(_BEGIN)
    end, mix = _END[mix % len(_END)], mix // len(_END)
    given, mix = _GIVEN[mix % len(_GIVEN)], mix // len(_GIVEN)
    return f"{begin}{end}{mix % 997}^{given}"


def study_uid(study: int) -> str:
    return f"1.2.826.0.1.3680043.10.1443.99.{study}"


def accession(study: int) -> str:
    return f"ACC{study:09d}"


def study_id(study: int) -> str:
    return f"S{study % 100_000}"


def description(study: int) -> str:
    mix = noise("description", study)
    return f"{_REGIONS[mix % len(_REGIONS)]} protocol {mix // 7 % 500}"


def birth_date(patient: int) -> dt.date:
    return dt.date(1930, 1, 1) + dt.timedelta(days=noise("birth", patient) % 32_000)


def modalities(study: int) -> list[str]:
    """Of its three series."""
    main = RARE if study % RARE_EVERY == RARE_EVERY // 2 else MODALITIES[noise("modality", study) % 100]
    return [main, main, "SR" if noise("third", study) % 10 < 3 else main]


def moment(study: int, studies: int) -> tuple[dt.date, dt.time]:
    mix = noise("date", study)
    back = mix % DAYS if mix % 5 == 0 else max(0, (studies - study) * DAYS // studies + mix % 30 - 15)
    seconds = mix // 7 % 86400
    clock = dt.time(seconds // 3600, seconds // 60 % 60, seconds % 60)
    return LAST_DAY - dt.timedelta(days=back), clock


class Templates:
    """`attributes` as our own indexer writes them, with places for what differs."""

    def __init__(self) -> None:
        slice_ = instance("@instance@", InstanceNumber="77777", ContentDate="19010203")
        made = document(
            "@uid@",
            {"@series@": {"@instance@": slice_}},
            patient={
                "PatientID": "@pid@", "PatientName": "@name@", "PatientBirthDate": "19020304",
                "PatientSex": "O",
            },
            study={
                "StudyDate": "19010203", "StudyTime": "040506", "AccessionNumber": "@acc@",
                "StudyID": "@sid@", "StudyDescription": "@desc@", "ReferringPhysicianName": "Roe^Richard",
            },
            series_tags={
                "Modality": "@modality@", "SeriesNumber": "77777", "SeriesDescription": "AXIAL 2.5",
                "BodyPartExamined": "CHEST", "Manufacturer": "ACME", "SeriesDate": "19010203",
                "InstitutionName": "General Hospital", "ManufacturerModelName": "Tomo 9",
            },
        )  # fmt: skip
        [series] = made.series()
        [one] = series.instances()
        self.study_row = index_rows.study_row(made)
        self.series_row = index_rows.series_row(series)
        self.instance_row = index_rows.instance_row(one, dt.UTC)
        self.frame_row = index_rows.frame_rows(one)[0]
        self.study = _pattern(self.study_row["attributes"])
        self.series = _pattern(self.series_row["attributes"])
        self.instance = _pattern(self.instance_row["attributes"])


def _pattern(text: str) -> str:
    text = text.replace("%", "%%").replace("19010203", "%(date)s").replace("040506", "%(time)s")
    text = text.replace("19020304", "%(birth)s")
    return re.sub("@([a-z]+)@", r"%(\1)s", text).replace("77777", "%(number)s")


def fill(url: str, studies: int, by_lambda: bool = False) -> None:
    """Make and fill the empty database at `url`; `by_lambda`: only the tables of the AWS project."""
    if by_lambda:
        engine = create_engine(url)
        with engine.begin() as made:
            for statement in STATEMENTS:
                made.execute(text(statement))
        engine.dispose()
    else:
        upgrade(url)
    target = make_url(url)
    connection = pymysql.connect(
        host=target.host, port=target.port or 3306, user=target.username or "root",
        database=target.database, local_infile=True, autocommit=True, charset="utf8mb4",
    )  # fmt: skip
    templates = Templates()
    with connection.cursor() as cursor:
        cursor.execute("SET foreign_key_checks = 0, unique_checks = 0")
        # statistics from few random pages would make the choice of plans a matter of luck
        cursor.execute("SET GLOBAL innodb_stats_persistent_sample_pages = 1000")
        for table, make in tables(templates, studies):
            if not (by_lambda and table.name.startswith("gateway_")):
                load(cursor, table, make)
        cursor.execute("SHOW FULL TABLES WHERE table_type = 'BASE TABLE'")
        for name, _ in cursor.fetchall():
            cursor.execute(f"ANALYZE TABLE {name}")
    connection.close()


def load(cursor: Any, table: Table, make: Callable[[], Iterator[dict[str, Any]]]) -> None:
    """Rows into an empty table."""
    chosen: list[Column[Any]] | None = None
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="\n") as file:
        for row in make():
            if chosen is None:
                chosen = [column for column in table.c if column.name in row]
            values = [row[column.name] for column in chosen]
            file.write("\t".join("\\N" if v is None else str(v) for v in values) + "\n")
        if chosen is None:
            return
        file.flush()
        names = ", ".join(f"`{column.name}`" for column in chosen)
        path = Path(file.name).as_posix()
        cursor.execute(
            f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE {table.name} CHARACTER SET utf8mb4 ({names})"
        )


def tables(templates: Templates, studies: int) -> list[tuple[Table, Callable[[], Iterator[dict[str, Any]]]]]:
    everything = range(1, studies + 1)
    patients = range(patient_of(studies) + 1)

    def aws_patients() -> Iterator[dict[str, Any]]:
        for n in patients:
            yield {
                "patient_pkey": n + 1, "issuer_pkey": 1, "patientid": patient_id(n),
                "patientname": patient_name(n), "patientbirthdate": birth_date(n), "patientsex": "O",
            }  # fmt: skip

    def aws_studies() -> Iterator[dict[str, Any]]:
        for n in everything:
            date, clock = moment(n, studies)
            yield {
                "study_pkey": n, "patient_pkey": patient_of(n) + 1, "studyinstanceuid": study_uid(n),
                "accessionnumber": accession(n), "studyid": study_id(n), "studydate": date,
                "studytime": clock, "studydescription": description(n),
                "referringphysicianname": "Roe^Richard",
                "numberofstudyrelatedseries": 3, "numberofstudyrelatedinstances": 3 * number_of_instances(n),
            }  # fmt: skip

    def aws_series() -> Iterator[dict[str, Any]]:
        for key, n, number, modality in all_series():
            yield {
                "series_pkey": key, "study_pkey": n, "seriesinstanceuid": f"{study_uid(n)}.{number}",
                "modality": modality, "seriesnumber": str(number), "seriesdescription": "AXIAL 2.5",
                "bodypartexamined": "CHEST", "manufacturer": "ACME",
                "numberofseriesrelatedinstances": number_of_instances(n),
            }  # fmt: skip

    def aws_instances() -> Iterator[dict[str, Any]]:
        for key, n, number, _ in all_series(INSTANCES_OF):
            for one in range(1, INSTANCES + 1):
                yield {
                    "instance_pkey": (key - 1) * INSTANCES + one, "series_pkey": key, "imageset_pkey": key,
                    "sopinstanceuid": f"{study_uid(n)}.{number}.{one}",
                    "sopclassuid": "1.2.840.10008.5.1.4.1.1.2", "instancenumber": one,
                    "contentdate": moment(n, studies)[0], "rows": 512, "columns": 512,
                }  # fmt: skip

    def aws_image_sets() -> Iterator[dict[str, Any]]:
        for key, *_ in all_series():
            yield {
                "imageset_pkey": key,
                "series_pkey": key,
                "imagesetid": f"{key:032x}",
                "datastoreid": STORE,
            }

    def side_studies() -> Iterator[dict[str, Any]]:
        for n in everything:
            date, clock = moment(n, studies)
            born = birth_date(patient_of(n))
            facts = {
                "sid": study_id(n), "desc": description(n), "birth": f"{born:%Y%m%d}",
                "uid": study_uid(n), "pid": patient_id(patient_of(n)), "acc": accession(n),
                "name": patient_name(patient_of(n)), "date": f"{date:%Y%m%d}", "time": f"{clock:%H%M%S}",
            }  # fmt: skip
            yield {
                **templates.study_row, "study_key": n, "study_uid": facts["uid"],
                "patient_key": md5(facts["pid"].encode(), usedforsecurity=False).hexdigest() * 2,
                "is_main": 1, "imageset_key": 3 * n - 2, "patientid": facts["pid"], "studydate": date,
                "studytime": clock, "accessionnumber": facts["acc"], "series_count": 3,
                "instance_count": 3 * number_of_instances(n), "attributes": templates.study % facts,
                "studyid": facts["sid"], "studydescription": facts["desc"], "patientbirthdate": born,
            }  # fmt: skip

    def side_names() -> Iterator[dict[str, Any]]:
        referring = fold_name("Roe^Richard")[0]
        for n in everything:
            for keyword, folded in (
                ("PatientName", fold_name(patient_name(patient_of(n)))[0]),
                ("ReferringPhysicianName", referring),
            ):
                yield {"study_key": n, "keyword": keyword, "groupnumber": 1, "folded": folded}

    def side_words() -> Iterator[dict[str, Any]]:
        for n in everything:
            named = {"PatientName": patient_name(patient_of(n)), "ReferringPhysicianName": "Roe^Richard"}
            for keyword, name in named.items():
                words = name_words(name)
                for word in words:
                    yield {"study_key": n, "keyword": keyword, "word": word}
                for sound in {sound_of(word) for word in words} - {""}:
                    yield {"study_key": n, "keyword": f"{keyword}{side.SOUND}", "word": sound}

    def side_image_sets() -> Iterator[dict[str, Any]]:
        for key, n, *_ in all_series():
            yield {
                "imageset_key": key, "datastoreid": STORE, "imagesetid": f"{key:032x}", "version": 1,
                "is_primary": 1, "indexed_at": "2026-01-01 00:00:00", "state": side.ACTIVE,
                "study_uid": study_uid(n), "study_key": n,
            }  # fmt: skip

    def side_links() -> Iterator[dict[str, Any]]:
        for key, n, number, _ in all_series():
            yield {"imageset_key": key, "series_uid": f"{study_uid(n)}.{number}"}

    def side_series() -> Iterator[dict[str, Any]]:
        for key, n, number, modality in all_series():
            facts = {
                "series": f"{study_uid(n)}.{number}", "modality": modality, "number": number,
                "date": f"{moment(n, studies)[0]:%Y%m%d}",
            }  # fmt: skip
            yield {
                **templates.series_row, "series_key": key, "study_key": n, "study_uid": study_uid(n),
                "series_uid": facts["series"], "is_main": 1, "imageset_key": key, "modality": modality,
                "seriesnumber": number, "series_order": number, "seriesdate": moment(n, studies)[0],
                "instance_count": number_of_instances(n), "attributes": templates.series % facts,
            }  # fmt: skip

    def side_instances() -> Iterator[dict[str, Any]]:
        for key, n, number, _ in all_series(INSTANCES_OF):
            for one in range(1, INSTANCES + 1):
                facts = {
                    "instance": f"{study_uid(n)}.{number}.{one}", "number": one,
                    "date": f"{moment(n, studies)[0]:%Y%m%d}",
                }  # fmt: skip
                yield {
                    **templates.instance_row, "instance_key": (key - 1) * INSTANCES + one, "series_key": key,
                    "imageset_key": key, "instance_uid": facts["instance"], "instancenumber": one,
                    "instance_order": one, "contentdate": moment(n, studies)[0],
                    "attributes": templates.instance % facts,
                }  # fmt: skip

    def side_frames() -> Iterator[dict[str, Any]]:
        for key, *_ in all_series(INSTANCES_OF):
            for one in range(1, INSTANCES + 1):
                number = (key - 1) * INSTANCES + one
                yield {**templates.frame_row, "instance_key": number, "frameid": f"{number:032x}"}

    def all_series(limit: int = studies) -> Iterator[tuple[int, int, int, str]]:
        for n in range(1, min(limit, studies) + 1):
            for number, modality in enumerate(modalities(n), 1):
                yield 3 * (n - 1) + number, n, number, modality

    return [
        (aws.patient, aws_patients),
        (aws.study, aws_studies),
        (aws.series, aws_series),
        (aws.instance, aws_instances),
        (aws.imageset, aws_image_sets),
        (side.gateway_study, side_studies),
        (side.gateway_person_name, side_names),
        (side.gateway_name_word, side_words),
        (side.gateway_imageset, side_image_sets),
        (side.gateway_imageset_series, side_links),
        (side.gateway_series, side_series),
        (side.gateway_instance, side_instances),
        (side.gateway_frame, side_frames),
    ]


def number_of_instances(study: int) -> int:
    return INSTANCES if study <= INSTANCES_OF else 0
