"""What this gateway serves, as one JSON document out of the tables it runs on (S-2; PS3.18 8.9)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dicomweb_gateway.dicom.transfer_syntax import EXPLICIT_VR_LE, TRANSFER_SYNTAXES
from dicomweb_gateway.errors import GatewayError
from dicomweb_gateway.pixels.targets import TARGETS
from dicomweb_gateway.qido.attributes import (
    ATTRIBUTES,
    LEVELS,
    REQUEST_ITEM_ATTRIBUTES,
    Level,
    Matching,
    usable_at,
)
from dicomweb_gateway.release import release
from dicomweb_gateway.web.errors import STATUS
from dicomweb_gateway.web.services import WebConfig

_BY_HAND = {
    Matching.UID: "single value, list of UIDs",
    Matching.TEXT: "single value, wildcards, list where the VR has one",
    Matching.NAME: "single value, wildcards, fuzzy",
    Matching.DATE: "single value, range",
    Matching.TIME: "single value, range",
    Matching.MOMENT: "single value, range",
    Matching.NUMBER: "single value",
    Matching.DECIMAL: "single value",
    Matching.EXACT: "single value",
    Matching.TAG: "single value",
    Matching.MODALITIES: "single value, wildcards, list",
}


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of address below the base path: its `service`, what it answers, and in which media types.

    `parameters` are the query parameters it reads beside `accept`; for searches keys come on top.
    """

    service: str
    answer: str
    media_types: tuple[str, ...]
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServedPath:
    """One address pattern, below the base path, with its methods and what stands behind it."""

    path: str
    methods: tuple[str, ...]
    resource: Resource


def capabilities(paths: Iterable[ServedPath], config: WebConfig, base_url: str) -> dict[str, Any]:
    """The whole document; plain values that serialise to JSON, each list in a fixed order."""
    return {
        "product": "dicomweb-gateway",
        "version": release(),
        "baseUrl": base_url,
        "conformance": f"{base_url}/conformance",
        "resources": [_resource(served) for served in paths],
        "transferSyntaxes": [_syntax(uid) for uid in TRANSFER_SYNTAXES],
        "search": {level: search_keys(level) for level in LEVELS},
        "limits": limits(config),
        "characterSets": ["ISO_IR 192"],
        "errors": [{"status": status, "reason": _first_sentence(kind)} for kind, status in STATUS.items()],
    }


def _resource(served: ServedPath) -> dict[str, Any]:
    return {
        "path": served.path,
        "methods": list(served.methods),
        "service": served.resource.service,
        "answer": served.resource.answer,
        "mediaTypes": list(served.resource.media_types),
        "parameters": ["accept", *served.resource.parameters],
    }


def _syntax(uid: str) -> dict[str, Any]:
    """A transfer syntax: served where it is stored, and perhaps made of others on request (W-1, W-3)."""
    row = TRANSFER_SYNTAXES[uid]
    made = {target.uid: target for target in TARGETS}.get(uid)
    return {
        "uid": uid,
        "name": row.name,
        "mediaType": row.media_type,
        "lossless": row.lossless,
        "decoded": row.family != "video",
        "onRequest": made is not None,
        "bitsAllocated": list(made.bits) if made else [],
        "default": uid == EXPLICIT_VR_LE,
    }


def search_keys(level: Level) -> list[dict[str, Any]]:
    """The keys with a column that a search of `level` takes, those of the levels above among them."""
    rows = [row for row in ATTRIBUTES.values() if usable_at(row, level)]
    found = [(row.keyword, row) for row in rows]
    if level != "study":
        items = REQUEST_ITEM_ATTRIBUTES.values()
        found += [(f"RequestAttributesSequence.{row.keyword}", row) for row in items]
    return [
        {
            "tag": f"{row.tag:08X}",
            "keyword": keyword,
            "vr": row.vr,
            "level": row.level,
            "matching": _BY_HAND[row.matching],
        }
        for keyword, row in found
    ]


def limits(config: WebConfig) -> Mapping[str, int | None]:
    """What one request may ask at most; None means no limit."""
    return {
        "searchResults": config.max_results,
        "searchMatches": config.hard_max_results,
        "framesInOneList": config.max_frames,
        "pixelBytesOfOneRetrieval": config.max_retrieve_bytes,
        "picturesOfOneSeries": config.max_rendered_instances,
        "bytesOfOneStoreRequest": config.store_max_bytes,
    }


def _first_sentence(kind: type[GatewayError]) -> str:
    text = " ".join((kind.__doc__ or kind.__name__).split())
    return text.partition(". ")[0].partition("; ")[0].rstrip(".")
