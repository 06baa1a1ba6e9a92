"""Where the bare codestream lies in a stored frame, remembered, as frames never change (F-6)."""

from collections import OrderedDict
from threading import Lock

from dicomweb_gateway.dicom.jp2_boxes import BARE_START, JP2_SIGNATURE, codestream_span
from dicomweb_gateway.frames.stored_frame import StoredFrame
from dicomweb_gateway.imagesets.store import FrameKey


class CodestreamSpans:
    """The `codestream_span` of the last `capacity` frames that were asked, at some 200 bytes each."""

    def __init__(self, capacity: int = 20_000) -> None:
        self._capacity = capacity
        self._known: OrderedDict[FrameKey, tuple[int, int]] = OrderedDict()
        self._lock = Lock()

    def of(self, key: FrameKey, frame: StoredFrame) -> tuple[int, int]:
        """[start, end) of the codestream in `frame`; only a boxed frame is read, and only the first time.

        Raises CorruptFrame for boxes without a codestream, and what reading a stored frame raises.
        """
        if frame.is_bare:
            return 0, frame.length
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                return known
        found = _span(frame)
        with self._lock:
            self._known[key] = found
            if len(self._known) > self._capacity:
                self._known.popitem(last=False)
        return found


def _span(frame: StoredFrame) -> tuple[int, int]:
    file, offset = frame.open()
    with file:
        file.seek(offset)
        start = file.read(len(JP2_SIGNATURE))
    return (0, frame.length) if start.startswith(BARE_START) else codestream_span(frame.read())
