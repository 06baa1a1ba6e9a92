"""How frames are to be shown, read once for all frames whose attributes say the same."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from hashlib import sha256
from threading import Lock

import orjson

from dicomweb_gateway.imagesets.dataset import dataset_of, frame_values
from dicomweb_gateway.imagesets.metadata import InstanceDocument
from dicomweb_gateway.pixels.presentation import DISPLAYED, Presentation, presentation_of


class Presentations:
    """The last `capacity` presentations, by what they were read from. For any thread.

    The slices of a series mostly share one, and with it the tables that `pixels.grey` keeps. Of the last
    `named` frames it is known which one is theirs.
    """

    def __init__(self, capacity: int = 64, named: int = 4096) -> None:
        self._capacity = capacity
        self._most_named = named
        self._known: OrderedDict[bytes, Presentation] = OrderedDict()
        self._named: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock = Lock()

    def of(
        self, name: Hashable, document: Callable[[], InstanceDocument], frame_index: int, signed: bool
    ) -> Presentation:
        """`presentation_of` frame `frame_index` (0-based) of the instance that `document` gives.

        `name` stands for the frame and the version of its metadata. `signed`: its PixelRepresentation.
        """
        with self._lock:
            found = self._known.get(self._named.get(name, b""))
        if found is not None:
            return found
        instance = document()
        values = frame_values(instance, frame_index, DISPLAYED)
        key = sha256(orjson.dumps((values, instance.vrs, signed))).digest()
        with self._lock:
            found = self._known.get(key)
        made = found or presentation_of(dataset_of(values, instance.vrs, signed), 0)
        with self._lock:
            return self._keep(name, key, made)

    def _keep(self, name: Hashable, key: bytes, made: Presentation) -> Presentation:
        # whoever was first counts: tables are kept by the object
        made = self._known.setdefault(key, made)
        self._known.move_to_end(key)
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)
        self._named[name] = key
        if len(self._named) > self._most_named:
            self._named.popitem(last=False)
        return made
