"""How the emulator is set up: where it keeps its data, and every switch that makes it misbehave."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dicomweb_gateway.emulator.fault_rules import FaultRule, rule_of
from dicomweb_gateway.emulator.signatures import Secret

HTJ2K_STORAGE = "HTJ2K"
_EVENT_TARGET = re.compile("(?:file|exec):.+|https?://.+|sqs:https?://.+", re.DOTALL)
J2K_STORAGE = "JPEG_2000_LOSSLESS"

THROTTLE_RATES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "GetImageFrame": (1000, 2000),
        "GetImageSetMetadata": (50, 100),
        "SearchImageSets": (25, 50),
        "GetImageSet": (25, 50),
        "ListImageSetVersions": (25, 50),
        "GetDICOMImportJob": (25, 50),
        "GetDatastore": (10, 20),
        "ListDICOMImportJobs": (10, 20),
        "ListDatastores": (5, 10),
        "StartDICOMImportJob": (1, 2),
        "DeleteImageSet": (0.25, 1),
        "UpdateImageSetMetadata": (0.25, 1),
        "CopyImageSet": (0.25, 1),
        "TagResource": (10, 20),
        "UntagResource": (10, 20),
        "ListTagsForResource": (10, 20),
        "StoreDICOM": (50, 100),
        "StoreDICOMStudy": (50, 100),
        "CreateDatastore": (0.085, 1),
        "DeleteDatastore": (0.085, 1),
    }
)
"""Operation to (requests per second, burst), the service's own limits (healthimaging.md 1.6)."""


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What goes wrong, or looks different, on purpose; all of it can be changed while the emulator runs.

    Nothing here touches what is stored: answers are changed as they leave.
    """

    latency_ms: float = 0.0
    """Added to every answer of the service, in milliseconds; 30 is what a client in the region sees."""
    failure_rate: float = 0.0
    """Share of requests, 0 to 1, that answer 500 InternalServerException."""
    failure_operations: tuple[str, ...] = ()
    """Operations that `failure_rate` applies to; empty means all."""
    corrupt_rate: float = 0.0
    """Share of frames, 0 to 1, that leave cut to half their length with status 200."""
    throttle: bool = False
    """Whether the rates of 1.6 are enforced with 429 ThrottlingException."""
    throttle_scale: float = 1.0
    """Factor on all throttling rates and bursts; below 1 is stricter."""
    rules: tuple[FaultRule, ...] = ()
    """Further faults, each for chosen calls; every rule throws its dice for every call that it concerns."""
    seed: int | None = None
    """What the dice start from: the same sequence of calls of one operation meets the same faults; None: they
    differ from run to run."""
    clock_ahead: float = 0.0
    """Seconds that the service's clock is ahead of this machine's, negative when behind; signed requests that
    are more than five minutes off it are refused."""
    conflict: int = 0
    """How many GetImageSetMetadata calls of one image set version answer 409 "still processing" first."""
    boxed: bool = False
    """Frames leave in JP2 boxes, without TLM and with TNsot 0, as AHI's frames of 2023 (3.2)."""
    padded: bool = False
    """Text values keep DICOM's even-length padding, as documents of 2025 (2.3)."""
    multi_level_checksums: bool = False
    """Several checksums a frame, smallest resolution first, as documents of 2023 (2.4)."""
    without_stored_syntax: bool = False
    """StoredTransferSyntaxUID is left out where it is HTJ2K lossless RPCL, as documents of 2023 (2.1)."""
    pixel_data_null: bool = False
    """PixelData appears with null in instances that have frames, as documents of 2023; else it is absent."""

    event_loss: float = 0.0
    """Share of events, 0 to 1, that are not sent."""
    event_duplicates: float = 0.0
    """Share of events, 0 to 1, that are sent twice."""
    events_reordered: bool = False
    """Of each two events the second is sent first."""
    events_as_documented: bool = False
    """Events name an image set `imagesetId`, as the documentation has it, and not `imageSetId`."""

    def __post_init__(self) -> None:
        for name in ("failure_rate", "corrupt_rate", "event_loss", "event_duplicates"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie between 0 and 1")
        if self.latency_ms < 0 or self.conflict < 0 or self.throttle_scale <= 0:
            raise ValueError("latency_ms and conflict must not be negative, throttle_scale must be positive")
        named = [*self.failure_operations, *(name for rule in self.rules for name in rule.operations)]
        unknown = set(named) - set(THROTTLE_RATES)
        if unknown:
            raise ValueError(f"there is no operation of the service of this name: {sorted(unknown)}")

    @property
    def all_rules(self) -> tuple[FaultRule, ...]:
        """`rules`, and the switches that are rules too."""
        made: list[FaultRule] = []
        if self.failure_rate:
            made.append(FaultRule(kind="error", rate=self.failure_rate, operations=self.failure_operations))
        if self.corrupt_rate:
            made.append(FaultRule(kind="cut", rate=self.corrupt_rate, operations=("GetImageFrame",)))
        return (*made, *self.rules)


@dataclass(frozen=True, kw_only=True)
class EmulatorConfig(Faults):
    """One emulator; the inherited switches are what it starts with."""

    data_dir: Path
    """Folder of the catalogue and the blobs; made when missing, locked while the emulator runs."""
    region: str = "us-east-1"
    account: str = "123456789012"
    """Twelve digits; both stand in ARNs only."""
    lossless_storage_format: str = HTJ2K_STORAGE
    """Of data stores whose creator does not say: HTJ2K or JPEG_2000_LOSSLESS."""
    workers: int | None = None
    """Import processes; None means one per core."""
    s3_endpoint: str | None = None
    """S3 that import jobs read from and write to, beside folders of this machine; None: folders only."""
    verify_signatures: Mapping[str, Secret] = field(default_factory=dict)
    """By access key id what requests must be signed with; empty: signed and unsigned ones are taken alike."""
    events: str | None = None
    """Where events go: file:PATH, exec:COMMAND, http://…, https://… or sqs:QUEUE-URL; None: nowhere."""
    skip_unchanged: bool = False
    """A file whose path, size and modification time are as at its last import is not read again, a file
    at another path with a SOP Instance UID that is already stored is listed and left out. Without this
    every import replaces, as AHI does."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lossless_storage_format not in (HTJ2K_STORAGE, J2K_STORAGE):
            raise ValueError(f"lossless_storage_format must be {HTJ2K_STORAGE} or {J2K_STORAGE}")
        if self.events is not None and not _EVENT_TARGET.fullmatch(self.events):
            raise ValueError("events go to file:PATH, exec:COMMAND, http://…, https://… or sqs:QUEUE-URL")
        if self.workers is not None and self.workers < 1:
            raise ValueError("workers must be at least 1")

    @property
    def faults(self) -> Faults:
        """The switches alone."""
        return Faults(**{field.name: getattr(self, field.name) for field in fields(Faults)})


def changed_faults(faults: Faults, changes: Mapping[str, Any]) -> Faults:
    """`faults` with the named switches replaced; ValueError for an unknown name or an unusable value."""
    current = {field.name: getattr(faults, field.name) for field in fields(Faults)}
    unknown = set(changes) - set(current)
    if unknown:
        raise ValueError(f"no such switch: {', '.join(sorted(unknown))}")
    for name, value in changes.items():
        current[name] = _like(name, current[name], value)
    return Faults(**current)


def _like(name: str, example: Any, value: Any) -> Any:
    """`value` when it is of the kind of `example` (JSON types), else ValueError."""
    if name == "rules" and isinstance(value, list):
        return tuple(map(rule_of, value))
    if name == "seed" and (value is None or (isinstance(value, int) and not isinstance(value, bool))):
        return value
    match example:
        case bool() if isinstance(value, bool):
            return value
        case tuple() if (
            name != "rules" and isinstance(value, list) and all(isinstance(v, str) for v in value)
        ):
            return tuple(value)
        case int() | float() if isinstance(value, int | float) and not isinstance(value, bool):
            if isinstance(example, int) and not isinstance(example, bool) and value != int(value):
                raise ValueError(f"{name} must be a whole number")
            if not isinstance(example, bool):
                return type(example)(value)
    raise ValueError(f"{name} has a value of the wrong kind")
