"""Whether the parts of a web process answer: what health checks and the status page are told."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock, Thread
from time import monotonic

from dicomweb_gateway.access.audit_log import AuditLog
from dicomweb_gateway.errors import GatewayError, UpstreamDenied, UpstreamError
from dicomweb_gateway.frames.pool import FramePool
from dicomweb_gateway.imagesets.healthimaging import HealthImaging
from dicomweb_gateway.index.reader import IndexReader
from dicomweb_gateway.shared.cache import SharedCache
from dicomweb_gateway.web.services import HealthReport, Part
from dicomweb_gateway.workflow.progress import read_progress

_LOG = logging.getLogger(__name__)
_UPSTREAM_PROBE_SECONDS = 15


class HealthProbe:
    """Asks the parts whether they answer; HealthImaging is looked at in the background (DESIGN 4)."""

    def __init__(
        self,
        index: IndexReader,
        pool: FramePool,
        frames: Path,
        image_sets: HealthImaging,
        data_dir: Path,
        audit: AuditLog | None = None,
        trouble: Callable[[], str | None] = lambda: None,
        shared: SharedCache | None = None,
        files: Callable[[], tuple[str, ...]] = tuple,
    ) -> None:
        """`trouble` is the master's; `files` says what is wrong with files of logins and rules."""
        self._trouble = trouble
        self._shared = shared
        self._files = files
        self._index = index
        self._pool = pool
        self._frames = frames
        self._image_sets = image_sets
        self._data_dir = data_dir
        self._audit = audit
        self._lock = Lock()
        self._asked_at = float("-inf")
        self._upstream_note: str | None = None

    def report(self) -> HealthReport:
        """What fails first: index, frame store, fetchers, a process, or an import that `demo` still does."""
        for name, fine, detail in self._asked():
            if not fine:
                _LOG.warning("health: %s: %s", name, detail)
                return HealthReport(failing=f"{name}: {detail}" if detail else name)
        trouble = self._trouble()
        if trouble is not None:
            return HealthReport(failing=trouble)
        progress = read_progress(self._data_dir)
        if progress is not None:
            return HealthReport(failing=f"importing {progress.done} of {progress.total}")
        self._look_upstream()
        unwritten = self._audit.trouble if self._audit is not None else None
        if unwritten is not None and self._audit is not None and self._audit.is_required:
            return HealthReport(failing=unwritten)
        # everybody reads this: which server it is stands in `parts`
        down = "the shared cache is down, all is served without it" if self._down else None
        notes = (self._upstream_note, unwritten, down, *self._files())
        return HealthReport(notes=tuple(note for note in notes if note))

    @property
    def _down(self) -> tuple[str, ...]:
        """Servers of the shared cache that do not answer: all is served without them."""
        return self._shared.down if self._shared is not None else ()

    def parts(self) -> tuple[Part, ...]:
        """Each part by itself; HealthImaging as it was when it was last looked at."""
        self._look_upstream()
        trouble = self._audit.trouble if self._audit is not None else None
        restless = self._trouble()
        return (
            *self._asked(),
            ("processes", restless is None, restless or ""),
            ("HealthImaging", self._upstream_note is None, self._upstream_note or ""),
            *([("audit log", trouble is None, trouble or "")] if self._audit is not None else []),
            *([("shared cache", not self._down, ", ".join(self._down))] if self._shared is not None else []),
            *(("files", False, one) for one in self._files()),
        )

    def _asked(self) -> Iterator[Part]:
        """The parts without which nothing can be served."""
        for name, check in (
            ("index", self._index.ping),
            ("frame store", self._check_frame_store),
            ("fetchers", self._pool.ping),
        ):
            try:
                check()
                yield name, True, ""
            except GatewayError as error:
                yield name, False, str(error)
            except OSError:
                yield name, False, ""

    def _check_frame_store(self) -> None:
        """OSError when the store's folder cannot be listed."""
        next(self._frames.iterdir(), None)

    def _look_upstream(self) -> None:
        """Ask HealthImaging at most every 15 s, without making the caller wait."""
        with self._lock:
            if monotonic() - self._asked_at < _UPSTREAM_PROBE_SECONDS:
                return
            self._asked_at = monotonic()
        Thread(target=self._ask_upstream, daemon=True).start()

    def _ask_upstream(self) -> None:
        if self._shared is not None:
            self._shared.look()
        try:
            self._image_sets.ping()
            self._upstream_note = None
        except UpstreamDenied:
            # the gateway needs no ListDatastores right; a refusal shows that HealthImaging is there
            self._upstream_note = None
        except UpstreamError as error:
            self._upstream_note = f"HealthImaging does not answer: {type(error).__name__}"
