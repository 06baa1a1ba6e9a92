"""How a word of a name sounds, as a code that is the same for words that sound alike (dicomweb.md Q-27).

The codes lie in the index and are compared with those of queries: what changes them needs a migration.
"""

import re

from jellyfish import metaphone

_WITHIN_WORDS = str.maketrans("", "", "'’ʼ`.")
_LETTERS = re.compile(r"[a-z]{1,64}")
_SPELLINGS = (
    (re.compile("tsch|cz"), "ch"),
    (re.compile("sch"), "sh"),
    (re.compile("dt|th"), "t"),
    (re.compile("(?<=[aeiou])y(?=[aeiou])"), "i"),
)
"""Spellings that Metaphone, made for English, takes for other sounds than most languages do."""


def sound_of(word: str) -> str:
    """The code of a word as `names.name_words` makes it; "" for one that has none.

    None have words with other letters than a to z once diacritics and apostrophes are gone: those of other
    scripts, numbers, patterns with wildcards. It is Metaphone, after a few spellings were made alike.
    """
    letters = word.translate(_WITHIN_WORDS)
    if not _LETTERS.fullmatch(letters):
        return ""
    for spelling, plain in _SPELLINGS:
        letters = spelling.sub(plain, letters)
    return metaphone(letters)
