"""The attributes that a sight asks for, out of rows and documents; its patterns as columns compare."""

from collections.abc import Iterable
from functools import lru_cache

from dicomweb_gateway.imagesets.metadata import ImageSetDocument, SeriesDocument
from dicomweb_gateway.imagesets.values import text
from dicomweb_gateway.index.tables import TEXT_LENGTH
from dicomweb_gateway.qido.expression import TextPattern
from dicomweb_gateway.qido.texts import searchable
from dicomweb_gateway.sight import SERIES_TRAITS, STUDY_TRAITS, TRAITS, Sight, Traits

Wanted = tuple[tuple[str, tuple[str, ...]], ...]
"""What a grant wants: keywords of TRAITS and their patterns."""


def of_study(wanted: Wanted) -> Wanted:
    """What is wanted of the study."""
    return tuple(one for one in wanted if one[0] in STUDY_TRAITS)


def of_series(wanted: Wanted) -> Wanted:
    """What is wanted of the series."""
    return tuple(one for one in wanted if one[0] in SERIES_TRAITS)


def text_patterns(patterns: Iterable[str]) -> tuple[TextPattern, ...]:
    """Patterns of a grant that a stored value can match at all.

    Stored values are stripped, never empty, and shorter than TEXT_LENGTH unless they may be cut. A database
    that pads with spaces would find more with a literal that ends in one.
    """
    made = (TextPattern(one, "*" in one or "?" in one) for one in patterns)
    return tuple(one for one in made if one.wildcard or _can_be_stored(one.text))


def _can_be_stored(literal: str) -> bool:
    return bool(literal) and literal == searchable(literal) and len(literal) < TEXT_LENGTH


def traits_of_columns(values: Iterable[str | None]) -> Traits:
    """Values of our columns in the order of TRAITS; one as long as the column may be cut and tells nothing.

    Equal traits are one object: thousands of records hold it.
    """
    return _shared(tuple(one if one and len(one) < TEXT_LENGTH else None for one in values))


def traits_of_document(series: SeriesDocument) -> Traits:
    """What a metadata document tells of a series and its study, in the form of the columns but whole."""
    above = {**series.image_set.patient, **series.image_set.study}
    tags = {keyword: above if keyword in STUDY_TRAITS else series.tags for keyword in TRAITS}
    return _shared(tuple(searchable(text(tags[keyword], keyword) or "") or None for keyword in TRAITS))


def shows_document(sight: Sight, document: ImageSetDocument) -> bool:
    """Whether all series of a document may be seen, so that it may go out as a whole."""
    store = document.datastore_id
    shown = [sight.shows(store, traits_of_document(series)) for series in document.series()]
    return sight.is_everything or (bool(shown) and all(shown))


@lru_cache(maxsize=4096)
def _shared(values: tuple[str | None, ...]) -> Traits:
    return dict(zip(TRAITS, values, strict=True))
