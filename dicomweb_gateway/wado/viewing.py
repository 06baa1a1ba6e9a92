"""Where in a series a viewer will look next, told from where it has looked (DESIGN 2)."""

_FIRST_SIZE = 16
_NEAR = 4
"""Steps up to this make scrolling; several web processes may each see only some of them."""
_RENEWED_SECONDS = 30.0


class ViewingWindow:
    """The places of one series, 0-based in viewing order, that are worth having next.

    The window lies around the place asked last: mostly ahead in the direction of travel, evenly where there
    is none. It grows up to `most` places while what is asked next lies in it, and halves with every place
    that does not, down to nothing for random access; scrolling makes it anew.
    """

    def __init__(self, count: int, most: int) -> None:
        self._count = count
        self._most = most
        self._size = min(_FIRST_SIZE, most)
        self._named = bytearray(count)
        self._asked = bytearray(count)
        self._named_since = float("-inf")
        self._last: int | None = None
        self._centre = 0
        self._heading = 0.0

    def asked(self, place: int, now: float) -> list[int]:
        """Place `place` was asked for at `now` (seconds of any clock): what to fetch, the nearest first.

        Empty while enough of the window is named already, so that a scrolling viewer causes few requests.
        Places are named anew after a while, as their frames may have left the store.
        """
        if now - self._named_since > _RENEWED_SECONDS:
            self._named = bytearray(self._count)
            self._asked = bytearray(self._count)
            self._named_since = now
        else:
            self._learn(place)
        self._turn(place)
        self._last = place
        was_named = self._named[place]
        self._named[place] = self._asked[place] = 1
        # the window stays until a quarter of it is passed, unless this or the next places are a surprise
        if was_named and abs(place - self._centre) * 4 < self._size and self._named[self._soon(place)]:
            return []
        self._centre = place
        window = self._window(place)
        if all(self._named[one] for one in window):
            return []
        for one in window:
            self._named[one] = 1
        return [one for one in window if not self._asked[one]]

    def _learn(self, place: int) -> None:
        """Make the window larger where it was of use, smaller where it was not."""
        if self._asked[place] or self._last is None:
            return
        if self._named[place]:
            self._size = min(self._most, self._size + max(1, self._size // 4))
        elif abs(place - self._last) <= _NEAR:
            self._size = min(self._most, max(self._size, _NEAR))
        else:
            self._size //= 2

    def _turn(self, place: int) -> None:
        if self._last is None or place == self._last:
            return
        step = place - self._last
        if abs(step) > max(self._size, 2 * _NEAR):
            self._heading = 0.0
        else:
            self._heading = (self._heading + (1 if step > 0 else -1)) / 2

    def _soon(self, place: int) -> int:
        """The place that is reached in a few steps."""
        steps = 0 if self._heading == 0 else _NEAR if self._heading > 0 else -_NEAR
        return min(self._count - 1, max(0, place + steps))

    def _window(self, place: int) -> list[int]:
        """Places by the time until they are reached: behind counts fourfold while there is a direction."""
        forward = 4 if self._heading < -0.25 else 1
        backward = 4 if self._heading > 0.25 else 1
        reach = self._size + 1
        around = range(max(0, place - reach), min(self._count, place + reach + 1))
        ordered = sorted(
            (one for one in around if one != place),
            key=lambda one: (one - place) * forward if one > place else (place - one) * backward,
        )
        return ordered[: self._size]


def first_looks(count: int) -> list[int]:
    """Places of a series of `count` that viewers show first: its first ones, the middle for the thumbnail."""
    return list(dict.fromkeys(place for place in (0, count // 2, 1, 2) if place < count))
