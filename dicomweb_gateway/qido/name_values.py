"""Values of person name keys: component groups, or words for fuzzy matching (dicomweb.md Q-12, Q-27)."""

from dicomweb_gateway.errors import InvalidRequest
from dicomweb_gateway.qido.expression import NamePattern, NameWord
from dicomweb_gateway.qido.names import GROUPS, fold_group, name_words
from dicomweb_gateway.qido.sounds import sound_of
from dicomweb_gateway.qido.text_values import is_universal, text_pattern

MAX_WORDS = 24
"""Words of one name in fuzzy matching; each is a look-up of its own, and names have at most 15 components."""


def name_groups(value: str, name: str) -> tuple[NamePattern, ...]:
    """Group patterns of one PN value; empty when it matches everything.

    Without `=` any component group may fit (Q-12); with it each given group must fit its own.
    """
    groups = value.split("=")
    if len(groups) > GROUPS:
        raise InvalidRequest(f"{name}: a person name has at most {GROUPS} component groups")
    single = len(groups) == 1
    return tuple(
        NamePattern(text_pattern(fold_group(group), name), None if single else number)
        for number, group in enumerate(groups, 1)
        if not is_universal(fold_group(group))
    )


def name_words_of(value: str, name: str, phonetic: bool) -> tuple[NameWord, ...]:
    """What to look for of each word of the value; empty when it matches everything.

    Viewers put `*` around what was typed: that does not change how it sounds.
    """
    words = [word for word in name_words(value) if word.strip("*")]
    if not words and not all(is_universal(fold_group(group)) for group in value.split("=")):
        raise InvalidRequest(f"{name}: a name without a word to look for")
    if len(words) > MAX_WORDS:
        raise InvalidRequest(f"{name}: more than {MAX_WORDS} words in a name")
    return tuple(
        NameWord(text_pattern(f"{word}*", name), sound_of(word.strip("*")) if phonetic else "")
        for word in words
    )
