"""Numbers without loss, however they are written (PS3.5 6.2: DS, IS; dicomweb.md Q-22)."""

import re
from decimal import Decimal

MAX_LENGTH = 64
"""Characters of one number; DS has at most 16, and a double never needs more than 24."""

MAX_EXPONENT = 400
"""Powers of ten that an exponent may name: a double reaches to 308 and -324, and more only costs."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE]([+-]?[0-9]+))?", re.ASCII)


def exact_number(text: str) -> Decimal | None:
    """The number that `text` says, None when it says none or one beyond the limits above."""
    match = _NUMBER.fullmatch(text) if len(text) <= MAX_LENGTH else None
    if match is None or abs(int(match[1] or 0)) > MAX_EXPONENT:
        return None
    return Decimal(text)


def is_whole(number: Decimal) -> bool:
    """Whether `number` has no fraction."""
    return number == number.to_integral_value()
