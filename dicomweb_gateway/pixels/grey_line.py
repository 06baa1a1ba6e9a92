"""Grey levels by arithmetic where that gives the very levels of the table: half the time of a look-up."""

from typing import NamedTuple

import numpy as np

from dicomweb_gateway.pixels.lut import WHITE
from dicomweb_gateway.pixels.optionals import Samples


class GreyLine(NamedTuple):
    """A straight line from stored words to grey, clipped to 0..255 and rounded; single precision."""

    scale: np.float32
    offset: np.float32

    def apply(self, words: Samples, image: Samples, room: Samples) -> None:
        """Write the levels of `words`, integers of 16 bits at most, into the uint8 `image` of their shape.

        `room` is float32, of that shape.
        """
        np.multiply(words, self.scale, out=room)
        np.add(room, self.offset, out=room)
        np.clip(room, 0, WHITE, out=room)
        np.rint(room, out=room)
        np.copyto(image, room, casting="unsafe")


def line_through(words: Samples, shown: Samples, levels: Samples) -> GreyLine | None:
    """The line that gives `levels` for every single one of `words`; None when there is none.

    `shown` are the exact values (float64) behind `levels`. That the line is right is not reasoned but tried:
    single precision, ties and whatever bends the curve show in some word.
    """
    inside = np.flatnonzero((shown > 0) & (shown < WHITE))
    if len(inside) < 2:
        return None
    first, last = inside[0], inside[-1]
    scale = (shown[last] - shown[first]) / (float(words[last]) - float(words[first]))
    offset = shown[first] - scale * float(words[first])
    line = GreyLine(np.float32(scale), np.float32(offset))
    found = np.empty(words.shape, "u1")
    line.apply(words, found, np.empty(words.shape, "f4"))
    return line if np.array_equal(found, levels) else None
