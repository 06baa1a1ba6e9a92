"""Person names in the form in which they are compared (PS3.5 6.2.1; dicomweb.md Q-12, Q-27)."""

import re
import unicodedata

from dicomweb_gateway.qido.texts import searchable

GROUPS = 3
"""Component groups of a PN value: alphabetic, ideographic, phonetic."""

_BETWEEN_WORDS = re.compile(r"[\s^=,\-]+")
_DIACRITICS = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]")
# Not all combining marks: the voicing marks of Japanese kana make other letters, as Ta and Da are.
_PLAIN_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "æ": "ae", "œ": "oe", "þ": "th", "ı": "i", "ħ": "h"}
)


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


def name_words(text: str) -> tuple[str, ...]:
    """The distinct words of a PN value, or of a pattern for one, for fuzzy matching (Q-27).

    Words end at `^`, `=`, `-`, commas and white space; case and diacritics are folded away, also those that
    Unicode holds for a part of the letter. Folding twice changes nothing, so that words can be made of a
    folded name too.
    """
    return tuple(
        dict.fromkeys(word for word in map(_fold_word, _BETWEEN_WORDS.split(searchable(text))) if word)
    )


def _fold_word(word: str) -> str:
    folded = unicodedata.normalize("NFD", unicodedata.normalize("NFC", word).casefold())
    bare = _DIACRITICS.sub("", folded).translate(_PLAIN_LETTERS)
    return unicodedata.normalize("NFC", bare)
