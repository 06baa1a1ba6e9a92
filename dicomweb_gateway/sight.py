"""What one caller may see of everything that the gateway holds.

A `Sight` is made from the access rules (`access/`) and handed to the index, which shows nothing else: what
lies beyond it is as if it did not exist. It is a value, hashable and small, so that answers and lookups can
be kept for each kind of caller.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import sha256

STUDY_TRAITS = ("PatientID", "IssuerOfPatientID", "AccessionNumber", "StudyID", "StudyDescription")
SERIES_TRAITS = (
    "Modality",
    "InstitutionName",
    "StationName",
    "BodyPartExamined",
    "Manufacturer",
    "ManufacturerModelName",
    "ProtocolName",
    "SeriesDescription",
)
TRAITS = (*STUDY_TRAITS, *SERIES_TRAITS)
"""Keywords of the attributes that rules can ask for; each has a column in our index tables."""

Traits = Mapping[str, str | None]
"""By keyword of TRAITS the value of one series and of its study, stripped; None or missing: it has none."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What one rule shows: series of `stores` (None: of all data stores) that meet all of `wanted`.

    `wanted` pairs a keyword of TRAITS with patterns, one of which the value must match as a whole: `*` stands
    for any text, `?` for one character, all else for itself, case included. A series without a value matches
    no pattern, not even `*`.
    """

    stores: frozenset[str] | None = None
    wanted: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def is_everything(self) -> bool:
        """Whether it hides nothing."""
        return self.stores is None and not self.wanted

    def shows(self, datastore_id: str, traits: Traits) -> bool:
        """Whether a series with `traits` may be seen as `datastore_id` holds it."""
        return (self.stores is None or datastore_id in self.stores) and all(
            _matches(traits.get(keyword), patterns) for keyword, patterns in self.wanted
        )


@dataclass(frozen=True)
class Sight:
    """Everything that one of `grants` shows; nothing without any."""

    grants: tuple[Grant, ...] = ()

    @cached_property
    def is_everything(self) -> bool:
        """Whether nothing is hidden."""
        return any(grant.is_everything for grant in self.grants)

    @cached_property
    def is_nothing(self) -> bool:
        """Whether everything is hidden."""
        return not any(grant.stores is None or grant.stores for grant in self.grants)

    @cached_property
    def has_wanted(self) -> bool:
        """Whether more than the data store decides."""
        return not self.is_everything and any(grant.wanted for grant in self.grants)

    @cached_property
    def stores(self) -> frozenset[str] | None:
        """The data stores outside which nothing is seen; None for any."""
        named = [grant.stores for grant in self.grants]
        if self.is_everything or any(stores is None for stores in named):
            return None
        return frozenset().union(*(stores for stores in named if stores is not None))

    def shows_all_of(self, datastore_id: str) -> bool:
        """Whether nothing of a data store is hidden."""
        return any(
            not grant.wanted and (grant.stores is None or datastore_id in grant.stores)
            for grant in self.grants
        )

    @cached_property
    def digest(self) -> str:
        """What tells this sight from others in entity tags and cache keys; "" where nothing is hidden."""
        if self.is_everything:
            return ""
        told = sorted(
            repr((sorted(g.stores) if g.stores is not None else None, g.wanted)) for g in self.grants
        )
        return sha256("\n".join(told).encode()).hexdigest()[:16]

    @cached_property
    def _judged(self) -> dict[tuple[str, int], tuple[Traits, bool]]:
        """What was judged lately, by data store and the traits' place in memory: each frame is judged anew,
        of thousands that share their traits."""
        return {}

    def shows(self, datastore_id: str, traits: Traits) -> bool:
        """Whether a series with `traits`, which never change, may be seen as `datastore_id` holds it."""
        key = (datastore_id, id(traits))
        known = self._judged.get(key)
        if known is not None and known[0] is traits:
            return known[1]
        shown = any(grant.shows(datastore_id, traits) for grant in self.grants)
        if len(self._judged) >= _MOST_JUDGED:
            self._judged.clear()
        self._judged[key] = (traits, shown)
        return shown

    def within(self, stores: frozenset[str] | None) -> "Sight":
        """What is left of it in the data stores `stores`; None for all."""
        return self if stores is None else self.narrowed(Sight((Grant(stores),)))

    def narrowed(self, other: "Sight") -> "Sight":
        """What both show."""
        if self.is_everything or other.is_everything:
            return other if self.is_everything else self
        return Sight(tuple(_both(mine, theirs) for mine in self.grants for theirs in other.grants))


def _both(one: Grant, other: Grant) -> Grant:
    """What both grants show."""
    if one.stores is None or other.stores is None:
        stores = other.stores if one.stores is None else one.stores
    else:
        stores = one.stores & other.stores
    return Grant(stores, (*one.wanted, *(wanted for wanted in other.wanted if wanted not in one.wanted)))


_MOST_JUDGED = 4096

EVERYTHING = Sight((Grant(),))
NOTHING = Sight()


def _matches(value: str | None, patterns: tuple[str, ...]) -> bool:
    return bool(value) and any(_compiled(pattern).fullmatch(str(value)) for pattern in patterns)


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    """`pattern` with `*` for any text and `?` for one character."""
    parts = (".*" if one == "*" else "." if one == "?" else re.escape(one) for one in pattern)
    return re.compile("".join(parts), re.DOTALL)
