"""Names of persons in our own tables: folded component groups, and words with their sounds."""

from typing import Any

from sqlalchemy import Select, and_, exists, or_, select

from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.patterns import Expression, any_of, like_any, prefix_of, some
from dicomweb_gateway.index.search_tables import Driver
from dicomweb_gateway.qido.attributes import QueryAttribute
from dicomweb_gateway.qido.expression import NameIn, NamePattern, NameWord, NameWords

_STUDY = side.gateway_study
_NAME, _WORD = side.gateway_person_name, side.gateway_name_word


def meets_names(condition: NameIn | NameWords, each: bool) -> Expression:
    """Studies whose person is named so; `each`: every study is asked, in its turn."""
    return any_of(
        and_(*(_of_study(_studies(condition.attribute, one), each) for one in wanted))
        for wanted in condition.alternatives
    )


def names_driver(condition: NameIn | NameWords) -> Driver | None:
    """Keys of studies by the index over names or words, None where one look into it does not tell."""
    match condition:
        case NameIn(attribute, alternatives) if all(len(groups) == 1 for groups in alternatives):
            patterns = tuple(groups[0] for groups in alternatives)
            begins = all(prefix_of(one.pattern.text) for one in patterns)
            return Driver(_names_like(attribute, patterns), begins)
        case NameWords(attribute, ((word,),)):
            return Driver(_words_like(attribute, word), bool(prefix_of(word.pattern.text)))
    return None


def has_no_name(attribute: QueryAttribute) -> Expression:
    """The study holds no such name."""
    return ~exists().where(_NAME.c.study_key == _STUDY.c.study_key, _NAME.c.keyword == attribute.keyword)


def first_group(attribute: QueryAttribute) -> Expression:
    """The folded first component group of the study's name."""
    return (
        select(_NAME.c.folded)
        .where(_NAME.c.study_key == _STUDY.c.study_key, _NAME.c.keyword == attribute.keyword)
        .where(_NAME.c.groupnumber == 1)
        .scalar_subquery()
    )


def _studies(attribute: QueryAttribute, wanted: NamePattern | NameWord) -> Select[Any]:
    if isinstance(wanted, NameWord):
        return _words_like(attribute, wanted)
    return _names_like(attribute, (wanted,))


def _of_study(studies: Select[Any], each: bool) -> Expression:
    (key,) = studies.selected_columns
    return some(studies.where(key == _STUDY.c.study_key)) if each else _STUDY.c.study_key.in_(studies)


def _names_like(attribute: QueryAttribute, patterns: tuple[NamePattern, ...]) -> Select[Any]:
    """Studies that hold a name group like one of the wanted ones."""
    meets = (
        like_any(_NAME.c.folded, (one.pattern,))
        if one.group is None
        else and_(_NAME.c.groupnumber == one.group, like_any(_NAME.c.folded, (one.pattern,)))
        for one in patterns
    )
    return select(_NAME.c.study_key).where(_NAME.c.keyword == attribute.keyword, any_of(meets))


def _words_like(attribute: QueryAttribute, word: NameWord) -> Select[Any]:
    """Studies with a word of the name that begins like the wanted one, or sounds like it."""
    meets = and_(_WORD.c.keyword == attribute.keyword, like_any(_WORD.c.word, (word.pattern,)))
    if word.sound:
        sounds = and_(_WORD.c.keyword == attribute.keyword + side.SOUND, _WORD.c.word == word.sound)
        meets = or_(meets, sounds)
    return select(_WORD.c.study_key).where(meets)
