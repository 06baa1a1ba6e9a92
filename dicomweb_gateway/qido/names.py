"""Person names in the form in which they are compared (PS3.5 6.2.1; dicomweb.md Q-12)."""

import unicodedata

from dicomweb_gateway.qido.texts import searchable

GROUPS = 3
"""Component groups of a PN value: alphabetic, ideographic, phonetic."""


def fold_group(text: str) -> str:
    """One component group (or a pattern for one): NFC, case folded, trailing empty components dropped.

    Folding happens here and not in the database, so that every database gives the same answer, for
    Cyrillic as for Latin. Spaces around components mean nothing.
    """
    components = [searchable(component) for component in text.split("^")]
    while components and not components[-1]:
        components.pop()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", "^".join(components)).casefold())


def fold_name(text: str) -> tuple[str, ...]:
    """The folded component groups of a PN value in their order; "" for an empty one, at most three."""
    return tuple(fold_group(group) for group in text.split("=")[:GROUPS])
