"""Gateways over image sets that contradict each other, by whoever has indexed them; each may lack some."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import orjson
from sqlalchemy import NullPool, create_engine

from dicomweb_gateway.access.authentication import Authenticator
from dicomweb_gateway.access.rules_file import RulesFile
from dicomweb_gateway.access.tokens import StaticTokens, add_token
from dicomweb_gateway.app import create_app
from dicomweb_gateway.errors import UpstreamNotFound
from dicomweb_gateway.imagesets.documents import DocumentCache
from dicomweb_gateway.imagesets.metadata import ImageSetDocument, parse_document
from dicomweb_gateway.imagesets.store import FrameKey, ImageSetProperties, ImageSetRef
from dicomweb_gateway.index.changes import IndexChanges
from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.index_search import IndexSearch
from dicomweb_gateway.index.reader import IndexReader
from dicomweb_gateway.index.writer import IndexWriter
from dicomweb_gateway.pixels.encoders import encode_htj2k
from dicomweb_gateway.sight import EVERYTHING
from dicomweb_gateway.wado.archive import Archive
from dicomweb_gateway.wado.failures import RecentFailures
from dicomweb_gateway.wado.kept_pictures import KeptPictures
from dicomweb_gateway.wado.prefetch import Prefetcher
from dicomweb_gateway.wado.ready_metadata import ReadyMetadata
from dicomweb_gateway.web.services import HealthReport, Services, WebConfig
from dicomweb_gateway.workflow.sync import Synchroniser
from tests.aws_index.indexer import put_image_set
from tests.routes.archive import FramesInMemory, hex_id, image

Tags = Mapping[str, Any]

SECONDS = 0.2
"""How long what is remembered is believed."""


@dataclass(frozen=True)
class Set:
    """An image set of one series, whose instances are `<series>.<n>` of `numbers`.

    `who` has indexed it: "ours", the AWS "lambda", or that without instance rows ("bare").
    """

    name: str
    store: str
    series: str
    numbers: tuple[int, ...]
    patient: Tags
    words: Tags
    above: Tags
    changed: datetime
    primary: bool = False
    version: int = 1
    who: str = "ours"

    @property
    def id(self) -> str:
        return hex_id("set", self.name)

    @property
    def ref(self) -> ImageSetRef:
        return ImageSetRef(self.store, self.id)

    @property
    def study(self) -> str:
        return self.series.rpartition(".")[0]

    def frame_id(self, number: int) -> str:
        return hex_id("frame", self.name, number)

    def document(self) -> dict[str, Any]:
        """As HealthImaging has it, decoded."""
        made = {f"{self.series}.{number}": self._instance(number) for number in self.numbers}
        above = {"SeriesInstanceUID": self.series, **self.above}
        return {
            "SchemaVersion": "1.1",
            "DatastoreID": self.store,
            "ImageSetID": self.id,
            "Patient": {"DICOM": dict(self.patient)},
            "Study": {
                "DICOM": {"StudyInstanceUID": self.study, **self.words},
                "Series": {self.series: {"DICOM": above, "Instances": made}},
            },
        }

    def _instance(self, number: int) -> dict[str, Any]:
        checksum = {"Width": 16, "Height": 16, "Checksum": crc32(coded(number))}
        tags = {
            "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
            "SOPInstanceUID": f"{self.series}.{number}",
            "InstanceNumber": str(number),
            "ImageComments": f"of {self.name}",
            "00090010": "MAKER",
            "00091001": "AAEC",
            **image(np.zeros((16, 16), np.int16)),
        }
        frame = {
            "ID": self.frame_id(number),
            "PixelDataChecksumFromBaseToFullResolution": [checksum],
        }
        return {
            "DICOM": tags,
            "DICOMVRs": {"00090010": "LO", "00091001": "UN"},
            "StoredTransferSyntaxUID": "1.2.840.10008.1.2.4.202",
            "ImageFrames": [frame],
        }


@cache
def coded(number: int) -> bytes:
    """A frame of 16 x 16 pixels."""
    samples = np.random.default_rng(number).integers(-1000, 1000, (16, 16), dtype=np.int16)
    return encode_htj2k(samples)


class HealthImaging:
    """Image sets in memory, with their earlier versions."""

    def __init__(self) -> None:
        self.sets: dict[ImageSetRef, tuple[Set, dict[str, bytes]]] = {}
        self.frames = FramesInMemory()

    def put(self, one: Set) -> None:
        """A new image set, or a new version of it."""
        _, versions = self.sets.get(one.ref, (one, {}))
        self.sets[one.ref] = one, {**versions, str(one.version): orjson.dumps(one.document())}
        for number in one.numbers:
            key = FrameKey(one.store, one.id, one.frame_id(number))
            self.frames.frames[key] = coded(number)

    def _held(self, ref: ImageSetRef) -> tuple[Set, bytes]:
        one, versions = self.sets.get(replace(ref, version_id=None), (None, {}))
        found = versions.get(ref.version_id or str(one.version)) if one is not None else None
        if one is None or found is None:
            raise UpstreamNotFound("no such image set, or version of it")
        return one, found

    def metadata(self, ref: ImageSetRef, deadline: float | None = None) -> bytes:
        return self._held(ref)[1]

    def image_set(self, ref: ImageSetRef) -> ImageSetProperties:
        one, _ = self._held(ref)
        latest = replace(one.ref, version_id=str(one.version))
        return ImageSetProperties(latest, "ACTIVE", one.primary, one.changed)


class PassedOn:
    """What goes through as HealthImaging wrote it."""

    def __init__(self, upstream: HealthImaging) -> None:
        self._upstream = upstream

    def image_set(self, ref: ImageSetRef, deadline: float | None = None) -> bytes:
        one, _ = self._upstream._held(ref)
        return orjson.dumps({"imageSetId": one.id, "versionId": ref.version_id or str(one.version)})

    def search(self, store: str, criteria: bytes, query: Tags, deadline: float | None = None) -> bytes:
        rows = [
            {"imageSetId": one.id, "version": one.version, "DICOMTags": {"DICOMPatientId": str(one.patient)}}
            for one, _ in self._upstream.sets.values()
            if one.store == store
        ]
        rows.sort(key=lambda row: str(row["imageSetId"]))
        start, most = int(query.get("nextToken", 0)), int(query.get("maxResults", 50))
        more = {"nextToken": str(start + most)} if start + most < len(rows) else {}
        return orjson.dumps({"imageSetsMetadataSummaries": rows[start : start + most], **more})


class Source:
    """What the index asks of HealthImaging."""

    def __init__(self, upstream: HealthImaging, documents: DocumentCache) -> None:
        self.properties = upstream.image_set
        self._documents = documents

    def document(self, ref: ImageSetRef) -> ImageSetDocument:
        return self._documents.get(ref)


class Place:
    """A gateway with the access rules `rules`, whose groups are the callers, over the index at `url`."""

    def __init__(self, folder: Path, url: str, rules: str, callers: Iterable[str], has_ours: bool) -> None:
        folder.mkdir()
        self.upstream = HealthImaging()
        self._engine = make_engine(url)
        self._administrator = create_engine(url, poolclass=NullPool)
        self._changes = IndexChanges(folder / "changes")
        self._synchroniser = Synchroniser(IndexWriter(url), self.upstream) if has_ours else None  # type: ignore[arg-type]
        (folder / "rules.toml").write_text(rules)
        self.tokens = {
            name: add_token(folder / "tokens", name, (name,), (), None) for name in ("everybody", *callers)
        }
        paths = ("/aetitle", "/research")
        config = WebConfig(ae_paths=paths, public_url="http://gw:1", port=8080, boundary_key=b"secret")
        documents = DocumentCache(self.upstream, folder / "documents", ttl=SECONDS)  # type: ignore[arg-type]
        source = None if url.startswith("sqlite") else Source(self.upstream, documents)
        index = IndexReader(self._engine, SECONDS, source, SECONDS, EVERYTHING, self._changes)
        frames: Any = self.upstream.frames
        archive = Archive(
            index,
            documents,
            frames,
            Prefetcher(frames),
            pictures=KeptPictures(folder / "pictures", 1 << 20),
            passed_on=PassedOn(self.upstream),  # type: ignore[arg-type]
        )
        services = Services(
            config,
            archive,
            IndexSearch(self._engine, EVERYTHING, SECONDS, source, SECONDS),
            lambda: HealthReport(),
            failures=RecentFailures(folder / "failures"),
            ready=ReadyMetadata(folder / "ready"),
            authenticator=Authenticator(tokens=StaticTokens(folder / "tokens")),
            rules=RulesFile(folder / "rules.toml", paths),
        )
        self.rules = services.rules
        self.client = create_app(services).test_client()

    def close(self) -> None:
        self._engine.dispose()

    def put(self, one: Set) -> None:
        """HealthImaging has `one`, and the index by whom it is to be indexed."""
        self.upstream.put(one)
        if one.who == "ours":
            self._index(one)
            return
        with self._administrator.begin() as connection:
            put_image_set(connection, one.document(), instance_level=one.who == "lambda")

    def delete(self, one: Set) -> None:
        """HealthImaging has it no longer; rows of the Lambda's stay."""
        self.upstream.sets.pop(one.ref, None)
        if one.who == "ours":
            with suppress(UpstreamNotFound):
                self._index(one)

    def _index(self, one: Set) -> None:
        assert self._synchroniser is not None
        try:
            self._synchroniser.image_set(one.ref)
        finally:
            self._changes.note()


def parsed(one: Set) -> ImageSetDocument:
    """Its document."""
    return parse_document(orjson.dumps(one.document()))
