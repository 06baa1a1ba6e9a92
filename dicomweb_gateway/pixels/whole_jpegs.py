"""Whether a JPEG stream holds its whole image, asked of the decoder and remembered (ITU-T T.81)."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from hashlib import sha256
from threading import Lock

import numpy as np

from dicomweb_gateway.errors import UndecodablePixels
from dicomweb_gateway.pixels.jpeg_header import JpegHeader
from dicomweb_gateway.pixels.jpeg_scans import JpegScans, with_noise
from dicomweb_gateway.pixels.optionals import Samples


class WholeJpegs:
    """The last `capacity` streams that were found whole, by digest: the test decodes twice. For any thread.

    Streams that are cut short are not remembered; nobody stores them.
    """

    def __init__(self, capacity: int = 10_000) -> None:
        self._capacity = capacity
        self._known: OrderedDict[Hashable, None] = OrderedDict()
        self._lock = Lock()

    def decode(
        self,
        decode: Callable[[bytes], Samples],
        way: Hashable,
        data: bytes,
        header: JpegHeader,
        scans: JpegScans,
    ) -> Samples:
        """The image, when it stays the same with noise behind its data: else the decoder made up the end.

        `way` names what `decode` does: what is whole for one decoder or colour space may not be for another.
        Raises UndecodablePixels for a stream that is cut short, and what `decode` raises.
        """
        samples = decode(data)
        if header.arithmetic:
            return samples
        name = (sha256(data).digest(), way)
        if self._is_known(name):
            return samples
        if not np.array_equal(samples, decode(with_noise(data, scans))):
            raise UndecodablePixels("JPEG: the stream is cut short")
        self._remember(name)
        return samples

    def _is_known(self, name: Hashable) -> bool:
        with self._lock:
            known = name in self._known
            if known:
                self._known.move_to_end(name)
            return known

    def _remember(self, name: Hashable) -> None:
        with self._lock:
            self._known[name] = None
            if len(self._known) > self._capacity:
                self._known.popitem(last=False)
