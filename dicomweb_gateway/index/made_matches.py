"""Instances that no table holds, matched and answered from metadata documents (healthimaging.md flaw 7)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Connection

from dicomweb_gateway.dicom.json_model import JsonObject, element
from dicomweb_gateway.imagesets.metadata import InstanceDocument, SeriesDocument
from dicomweb_gateway.imagesets.values import integer
from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index import tables as aws
from dicomweb_gateway.index.aws_numbers import counted, modalities_of
from dicomweb_gateway.index.aws_reader import AwsReader
from dicomweb_gateway.index.bare_series import BareSeries
from dicomweb_gateway.index.held_attributes import instance_attributes, series_attributes, study_attributes
from dicomweb_gateway.index.merging import Place
from dicomweb_gateway.qido.answers import Found, answer
from dicomweb_gateway.qido.expression import QidoQuery
from dicomweb_gateway.qido.matching import meets, sort_value


class StudyFacts(NamedTuple):
    """What documents of single series cannot tell of their study."""

    modalities: Collection[str]
    series: int


def study_facts(connection: Connection, study_uids: Collection[str]) -> dict[str, StudyFacts]:
    """By the rows of the studies' series, which are all there."""
    modalities = modalities_of(connection, study_uids)
    numbers = counted(connection, aws.study.c.studyinstanceuid, study_uids)
    return {uid: StudyFacts(modalities.get(uid, ()), numbers[uid].series) for uid in numbers}


@dataclass(frozen=True, slots=True)
class Made:
    """A match: the values that it is sorted by, its UID last, and its answer."""

    order: tuple[Any, ...]
    answer: JsonObject


@dataclass(frozen=True, slots=True)
class MadeMatches:
    """`first`: the matches that the page may need, in order, of `number` in all.

    `was_read`: whether there was any document to read.
    """

    was_read: bool = False
    number: int = 0
    first: Sequence[Made] = ()


NOTHING_MADE = MadeMatches()


def made_matches(
    documents: AwsReader, series: Collection[BareSeries], facts: Mapping[str, StudyFacts], query: QidoQuery
) -> MadeMatches:
    """The instances of `series` that meet all conditions of `query`, those without a column included.

    Each comes once, from the best image set. `facts`: of the studies, by UID. UpstreamError comes through,
    except of image sets that are gone.
    """
    collected = _Collected(query)
    by_study: dict[str, list[str]] = {}
    for study_uid, series_uid in series:
        by_study.setdefault(study_uid, []).append(series_uid)
    for study_uid, series_uids in by_study.items():
        for _, one in documents.documents(study_uid, series_uids):
            collected.add(one, facts[study_uid])
    return MadeMatches(bool(series), collected.number, collected.finished())


def instance_numbers(documents: AwsReader, study_uid: str, series_uids: Collection[str]) -> dict[str, int]:
    """How many instances such series have."""
    found: dict[str, set[str]] = {uid: set() for uid in series_uids}
    for _, one in documents.documents(study_uid, series_uids):
        found[one.series_uid].update(one.raw_instances)
    return {uid: len(instances) for uid, instances in found.items()}


@dataclass(slots=True)
class _Collected:
    """Matches so far, cut to what a page can show now and then; `uids`: instances of each series."""

    query: QidoQuery
    number: int = 0
    kept: list[Made] = field(default_factory=list)
    uids: dict[str, set[str]] = field(default_factory=dict)

    def add(self, series: SeriesDocument, facts: StudyFacts) -> None:
        """What matches of a series in one image set, after better ones."""
        seen = self.uids.setdefault(series.series_uid, set())
        above = _above(series, facts)
        for uid in series.raw_instances:
            if uid not in seen:
                seen.add(uid)
                self._take(above, series.instance(uid))
        self._cut()

    def finished(self) -> list[Made]:
        """The matches in order, with the number of instances of their series, which is known now."""
        self._cut()
        if self.query.shows_series:
            for made in self.kept:
                (series_uid,) = made.answer["0020000E"]["Value"]
                made.answer["00201209"] = element("IS", [len(self.uids[series_uid])])
        return self.kept

    def _take(self, above: "_Above", instance: InstanceDocument) -> None:
        attributes = instance_attributes(instance)
        held = {**above.held, **attributes, "00080018": element("UI", [instance.instance_uid])}
        conditions = (*self.query.conditions, *self.query.stored)
        if not all(meets(one, held, self.query.zone) for one in conditions):
            return
        self.number += 1
        found = Found(
            study_uid=above.study_uid,
            series_uid=instance.series.series_uid,
            instance_uid=instance.instance_uid,
            study=above.study,
            series=above.series,
            instance=attributes,
            modalities=above.facts.modalities,
            series_of_study=above.facts.series,
            stored_syntax=instance.transfer_syntax_uid,
            has_frames=instance.pixels is not None,
        )
        order = _order(self.query, held, instance)
        self.kept.append(Made(order, answer(self.query, found)))

    def _cut(self) -> None:
        self.kept.sort(key=lambda made: Place(made.order, self.query))
        del self.kept[self.query.offset + self.query.page + 1 :]


class _Above(NamedTuple):
    """What instances of one series in one image set have in common; `held` is what conditions see of it."""

    study_uid: str
    facts: StudyFacts
    study: JsonObject
    series: JsonObject
    held: JsonObject


def _above(series: SeriesDocument, facts: StudyFacts) -> _Above:
    study_uid = series.image_set.study_uid
    study, own = study_attributes(series.image_set), series_attributes(series)
    added = {
        "00080061": element("CS", sorted(facts.modalities)),
        "0020000D": element("UI", [study_uid]),
        "0020000E": element("UI", [series.series_uid]),
        "00201206": element("IS", [facts.series]),
    }
    return _Above(study_uid, facts, study, own, {**study, **own, **added})


def _order(query: QidoQuery, held: JsonObject, instance: InstanceDocument) -> tuple[Any, ...]:
    """What Q-37 or `orderby` sorts by, as columns hold it, and the UID."""
    if query.order:
        return (*(sort_value(key.attribute, held, query.zone) for key in query.order), instance.instance_uid)
    number = integer(instance.tags, "InstanceNumber")
    return side.MISSING_LAST if number is None else number, instance.instance_uid
