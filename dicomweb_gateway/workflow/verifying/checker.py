"""Fetches frames, checks each against its metadata and keeps it where that is asked; for one process."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from dicomweb_gateway.errors import (
    CorruptFrame,
    GatewayError,
    StorageUnavailable,
    UndecodablePixels,
    UpstreamDenied,
    UpstreamError,
)
from dicomweb_gateway.frames.config import FetcherConfig
from dicomweb_gateway.frames.integrity import check
from dicomweb_gateway.imagesets.healthimaging import HealthImaging
from dicomweb_gateway.imagesets.metadata import ImageSetDocument, parse_document
from dicomweb_gateway.imagesets.pacing import RateLimits
from dicomweb_gateway.imagesets.store import ImageSetRef, WantedFrame
from dicomweb_gateway.pixels.decoders import decode_frame, native_bytes
from dicomweb_gateway.pixels.guarded import configure_decoders
from dicomweb_gateway.workflow.verifying.keeping import Failure, frame_path, write_whole
from dicomweb_gateway.workflow.verifying.work import Form, Piece, Work

_TRIES = 2
_INSTANCES_AT_ONCE = 8


@dataclass(slots=True)
class Checked:
    """What came of some work; `size` in bytes as fetched, `keys` of the pieces that are right.

    `unstated`: frames of which the metadata state no checksum; they are whole, and that is all.
    """

    frames: int = 0
    instances: int = 0
    size: int = 0
    unstated: int = 0
    failures: list[Failure] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CheckerConfig:
    """What a process is told: how it fetches, and where and how it keeps what it fetched (None: not)."""

    fetching: FetcherConfig
    folder: Path | None = None
    form: Form | None = None


class Checker:
    """Checks one work at a time, its frames at once as far as `fetches_in_flight` goes."""

    def __init__(self, config: CheckerConfig) -> None:
        fetching = config.fetching
        self._config = config
        self._store = HealthImaging(
            fetching.endpoint_url,
            fetching.region,
            max_connections=fetching.fetches_in_flight,
            limits=RateLimits(
                frames=fetching.frame_rate_limit,
                folder=Path(fetching.rate_folder) if fetching.rate_folder else None,
            ),
        )
        configure_decoders(fetching.decode_timeout, fetching.decoders)
        self._frames = ThreadPoolExecutor(fetching.fetches_in_flight, thread_name_prefix="frame")
        self._instances = ThreadPoolExecutor(_INSTANCES_AT_ONCE, thread_name_prefix="instance")
        self._document: tuple[ImageSetRef, ImageSetDocument] | None = None

    def close(self) -> None:
        """End the threads and leave no connection open."""
        self._instances.shutdown()
        self._frames.shutdown()
        self._store.close()

    def check(self, work: Work) -> Checked:
        """Check all frames of `work`. Failures are told of, not raised.

        Raises UpstreamDenied and StorageUnavailable, after which nothing else would come right either.
        """
        done = Checked()
        if self._config.form == "dicom":
            self._keep_instances(work, done)
            return done
        numbered = [
            (piece, piece.first + number, frame)
            for piece in work
            for number, frame in enumerate(piece.frames)
        ]
        found = self._frames.map(lambda one: self._frame(*one), numbered)
        wrong: set[int] = set()
        for (piece, _, frame), result in zip(numbered, found, strict=True):
            done.frames += 1
            if isinstance(result, Failure):
                done.failures.append(result)
                wrong.add(id(piece))
            else:
                done.size += result
                done.unstated += frame.checksum is None
        self._count(work, done, wrong)
        return done

    def _count(self, work: Work, done: Checked, wrong: set[int]) -> None:
        done.instances += sum(piece.first == 1 for piece in work)
        done.keys += [piece.key(self._config.form) for piece in work if id(piece) not in wrong]

    def _frame(self, piece: Piece, number: int, wanted: WantedFrame) -> int | Failure:
        """Bytes of one right frame, or what is wrong with it."""
        try:
            payload = self.payload(wanted)
            folder = self._config.folder
            if folder is not None:
                decoded = self._config.form == "raw"
                data = _decoded(piece, payload) if decoded else payload
                write_whole(frame_path(folder, piece, number, decoded), data)
            return len(payload)
        except (UpstreamDenied, StorageUnavailable):
            raise
        except OSError as error:
            raise StorageUnavailable(f"the frames cannot be kept: {error.strerror or error}") from error
        except GatewayError as error:
            return Failure(piece.ref.image_set_id, piece.instance_uid, number, str(error))

    def payload(self, wanted: WantedFrame) -> bytes:
        """A frame that has passed its check; CorruptFrame after a second try, and what fetching raises."""
        for _ in range(_TRIES - 1):
            payload = self._store.frame(wanted.key)
            try:
                check(payload, wanted, verify=True)
            except (CorruptFrame, UndecodablePixels):
                continue
            return payload
        payload = self._store.frame(wanted.key)
        check(payload, wanted, verify=True)
        return payload

    def payloads(self, wanted: Sequence[WantedFrame], window: int) -> Iterator[bytes]:
        """As `payload`, in order, at most `window` under way."""
        for start in range(0, len(wanted), window):
            yield from self._frames.map(self.payload, wanted[start : start + window])

    def _keep_instances(self, work: Work, done: Checked) -> None:
        refs = list(dict.fromkeys(piece.ref for piece in work))
        documents = dict(zip(refs, self._frames.map(self._parsed, refs), strict=True))
        wrong: set[int] = set()
        # its libraries take longer to load than many a frame
        from dicomweb_gateway.workflow.verifying.instances import kept_instance

        folder = self._config.folder or Path()
        results = self._instances.map(
            lambda piece: kept_instance(self.payloads, documents[piece.ref], piece, folder), work
        )
        for piece, result in zip(work, results, strict=True):
            done.frames += len(piece.frames)
            if isinstance(result, Failure):
                done.failures.append(result)
                wrong.add(id(piece))
            else:
                done.size += result
                done.unstated += sum(frame.checksum is None for frame in piece.frames)
        self._count(work, done, wrong)

    def _parsed(self, ref: ImageSetRef) -> ImageSetDocument | UpstreamError:
        """The document, kept from one work to the next: a large image set fills several."""
        if self._document is not None and self._document[0] == ref:
            return self._document[1]
        try:
            document = parse_document(self._store.metadata(ref))
        except UpstreamDenied:
            raise
        except UpstreamError as error:
            return error
        self._document = ref, document
        return document


def _decoded(piece: Piece, payload: bytes) -> bytes:
    if piece.pixels is None:
        raise UndecodablePixels("the instance does not say how its pixels are laid out")
    return native_bytes(decode_frame(payload, piece.transfer_syntax_uid, piece.pixels), piece.pixels)
