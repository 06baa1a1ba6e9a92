"""Databases as the AWS project makes them, on the session's MariaDB, and HealthImaging in memory."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import orjson
import pytest
from sqlalchemy import Engine, create_engine, make_url, text

from dicomweb_gateway.errors import UpstreamNotFound
from dicomweb_gateway.imagesets.metadata import ImageSetDocument, parse_document
from dicomweb_gateway.imagesets.store import ImageSetProperties, ImageSetRef
from dicomweb_gateway.index.engine import make_engine
from tests.aws_index.indexer import put_image_set
from tests.databases import drop_database, new_aws_database, on_server
from tests.index.documents import STORE, hex_id, instance


def raw(uid: str, name: str, instances: dict[str, Any], series_uid: str = "", **tags: Any) -> dict[str, Any]:
    """One image set of study `uid` as decoded JSON; `tags`: patient, study, series to attributes there."""
    series = series_uid or f"{uid}.1"
    return {
        "SchemaVersion": "1.1",
        "DatastoreID": STORE,
        "ImageSetID": hex_id(name),
        "Patient": {"DICOM": {"PatientID": "P1", "PatientName": "Doe^John", **tags.get("patient", {})}},
        "Study": {
            "DICOM": {"StudyInstanceUID": uid, "StudyDate": "20240101", **tags.get("study", {})},
            "Series": {
                series: {"DICOM": {"Modality": "CT", **tags.get("series", {})}, "Instances": instances}
            },
        },
    }


def slices(series: str, *numbers: int, **tags: Any) -> dict[str, Any]:
    """Instances `<series>.<n>` of those InstanceNumbers."""
    return {f"{series}.{n}": instance(f"{series}.{n}", InstanceNumber=str(n), **tags) for n in numbers}


class ImageSets:
    """HealthImaging in memory, filled together with the AWS tables or apart from them."""

    def __init__(self, administrator: Engine) -> None:
        self._administrator = administrator
        self._raw: dict[str, dict[str, Any]] = {}
        self.primary: set[str] = set()
        self.asked = 0
        self.asked_of: set[str] = set()

    def put(self, document: dict[str, Any], indexed: bool = True, **flags: bool) -> None:
        """A new image set or version of it, with the rows that the Lambda makes of it."""
        self._raw[document["ImageSetID"]] = document
        if indexed:
            with self._administrator.begin() as connection:
                put_image_set(connection, document, **flags)

    def run(self, statement: str) -> None:
        """One statement by the administrator."""
        with self._administrator.begin() as connection:
            connection.execute(text(statement))

    def delete(self, name: str) -> None:
        """HealthImaging loses it; the rows stay (flaw 10)."""
        del self._raw[hex_id(name)]

    def properties(self, ref: ImageSetRef) -> ImageSetProperties:
        self.asked += 1
        self.asked_of.add(ref.datastore_id)
        if ref.image_set_id not in self._raw:
            raise UpstreamNotFound("no such image set")
        latest = ImageSetRef(ref.datastore_id, ref.image_set_id, "4")
        return ImageSetProperties(latest, "ACTIVE", ref.image_set_id in self.primary, None)

    def document(self, ref: ImageSetRef) -> ImageSetDocument:
        if ref.image_set_id not in self._raw:
            raise UpstreamNotFound("no such image set")
        return parse_document(orjson.dumps(self._raw[ref.image_set_id]))


@contextmanager
def proxy_of(server: str, url: str) -> Iterator[Engine]:
    """An engine of a user of the database at `url` as the AWS proxy guide makes it: SELECT and SHOW VIEW."""
    address, name = make_url(url), f"proxy_{uuid4().hex[:12]}"
    on_server(server, f"CREATE USER {name}@'%' IDENTIFIED BY 'reads'")
    on_server(server, f"GRANT SELECT, SHOW VIEW ON {address.database}.* TO {name}@'%'")
    login = address.set(username=name, password="reads").render_as_string(hide_password=False)
    engine = make_engine(login, statement_timeout=10)
    yield engine
    engine.dispose()
    on_server(server, f"DROP USER {name}@'%'")


@contextmanager
def filled_place(
    server: str,
    documents: Iterable[dict[str, Any]],
    has_rows: Callable[[dict[str, Any]], bool] = lambda _: True,
) -> Iterator[tuple[Engine, ImageSets]]:
    """The proxy's engine and HealthImaging, both with `documents`, for several tests that only read.

    `has_rows`: whether the Lambda wrote instance rows of the document.
    """
    name, url = new_aws_database(server)
    administrator = create_engine(url)
    image_sets = ImageSets(administrator)
    for document in documents:
        image_sets.put(document, instance_level=has_rows(document))
    with proxy_of(server, url) as engine:
        yield engine, image_sets
    administrator.dispose()
    drop_database(server, name)


@pytest.fixture
def image_sets(aws_url: str) -> Iterator[ImageSets]:
    administrator = create_engine(aws_url)
    yield ImageSets(administrator)
    administrator.dispose()


@pytest.fixture
def proxy_engine(mariadb_server: str, aws_url: str) -> Iterator[Engine]:
    with proxy_of(mariadb_server, aws_url) as engine:
        yield engine
