"""Text against patterns of `*` and `?`, in time that grows with the text alone (dicomweb.md Q-13)."""


def is_like(pattern: str, text: str) -> bool:
    """Whether all of `text` fits: `*` is any run, also an empty one, `?` one character (a code point).

    Each part between two `*` is looked for where the one before it ended: what fits further right fits no
    more of the rest, so nothing is ever tried twice.
    """
    first, *rest = pattern.split("*")
    if not rest:
        return len(text) == len(first) and _stands_at(first, text, 0)
    *middle, last = rest
    at, end = len(first), len(text) - len(last)
    if at > end or not _stands_at(first, text, 0) or not _stands_at(last, text, end):
        return False
    for part in middle:
        at = _behind(part, text, at, end)
        if at < 0:
            return False
    return True


def _stands_at(part: str, text: str, at: int) -> bool:
    """Whether a part without `*` fits at a place that leaves room for it."""
    if "?" not in part:
        return text.startswith(part, at)
    return all(one in ("?", text[place]) for place, one in enumerate(part, at))


def _behind(part: str, text: str, at: int, end: int) -> int:
    """Where the first place between `at` and `end` that a part without `*` fits stops, -1 without any."""
    if "?" in part:
        return _behind_open(part, text, at, end)
    found = text.find(part, at, end)
    return found if found < 0 else found + len(part)


def _behind_open(part: str, text: str, at: int, end: int) -> int:
    """The same for a part with `?`: all places at once, bit n saying that the part's first n + 1 fit here."""
    anything = sum(1 << place for place, one in enumerate(part) if one == "?")
    fitting: dict[str, int] = {}
    for place, one in enumerate(part):
        fitting[one] = fitting.get(one, anything) | 1 << place
    whole, begun = 1 << len(part) - 1, 0
    for place in range(at, end):
        begun = (begun << 1 | 1) & fitting.get(text[place], anything)
        if begun & whole:
            return place + 1
    return -1
