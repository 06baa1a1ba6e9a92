"""How frames are to be shown, read once for all frames whose attributes say the same."""

from collections import OrderedDict
from hashlib import sha256
from threading import Lock

import orjson

from dicomweb_gateway.imagesets.dataset import dataset_of, frame_values
from dicomweb_gateway.imagesets.metadata import InstanceDocument
from dicomweb_gateway.pixels.presentation import DISPLAYED, Presentation, presentation_of


class Presentations:
    """The last `capacity` presentations, by what they were read from. For any thread.

    The slices of a series mostly share one, and with it the tables that `pixels.grey` keeps.
    """

    def __init__(self, capacity: int = 64) -> None:
        self._capacity = capacity
        self._known: OrderedDict[bytes, Presentation] = OrderedDict()
        self._lock = Lock()

    def of(self, instance: InstanceDocument, frame_index: int, signed: bool) -> Presentation:
        """`presentation_of` frame `frame_index` (0-based); `signed` is its PixelRepresentation."""
        values = frame_values(instance, frame_index, DISPLAYED)
        key = sha256(orjson.dumps((values, instance.vrs, signed))).digest()
        with self._lock:
            found = self._known.get(key)
            if found is not None:
                self._known.move_to_end(key)
                return found
        made = presentation_of(dataset_of(values, instance.vrs, signed), 0)
        with self._lock:
            # whoever was first counts: tables are kept by the object
            made = self._known.setdefault(key, made)
            if len(self._known) > self._capacity:
                self._known.popitem(last=False)
        return made
