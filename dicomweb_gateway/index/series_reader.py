"""Instances of a series, read anew: those of our tables, and those that only documents give."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Engine

from dicomweb_gateway.errors import RequestError, ResourceNotFound
from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.aws_reader import AwsReader
from dicomweb_gateway.index.gone import GoneSets
from dicomweb_gateway.index.holdings_reader import HoldingsReader
from dicomweb_gateway.index.instance_records import load_outlines, load_records
from dicomweb_gateway.index.records import InstanceOutline, InstanceRecord
from dicomweb_gateway.index.side_reader import below
from dicomweb_gateway.index.tombstones import missing
from dicomweb_gateway.sight import Sight


@dataclass(slots=True)
class Bindings:
    """What all bound readers of one share. `need_traits`: one of them judges by attributes."""

    need_traits: bool
    number: int = 0
    """Of `IndexChanges`, up to which changes of others are known."""


class SeriesReader(HoldingsReader):
    """A HoldingsReader that reads series as well, and leaves out image sets that are `gone`."""

    def __init__(
        self, engine: Engine, aws: AwsReader | None, sight: Sight, gone: GoneSets, bindings: Bindings
    ) -> None:
        super().__init__(engine, aws, sight)
        self._gone = gone
        self._bindings = bindings

    def _side_records(self, study_uid: str, series_uid: str) -> list[InstanceRecord]:
        return self._records(below(study_uid, series_uid))

    def _records(self, series: ColumnElement[bool], *conditions: ColumnElement[bool]) -> list[InstanceRecord]:
        """What our tables hold of a series."""
        with_traits = self._bindings.need_traits

        def load(connection: Connection) -> list[InstanceRecord]:
            found = load_records(connection, self._sight, series, *conditions, with_traits=with_traits)
            return self._there(found)

        return self._side(load) or []

    def _series_records(self, study_uid: str, series_uid: str) -> list[InstanceRecord]:
        return self._completed(self._side_records(study_uid, series_uid), study_uid, series_uid)

    def _completed(
        self, records: list[InstanceRecord], study_uid: str, series_uid: str
    ) -> list[InstanceRecord]:
        """`records` of our tables with those that only documents give."""
        if self._aws is None:
            return records
        known = {record.instance_uid for record in records}
        more = [one for one in self._aws.instances(study_uid, series_uid) if one.instance_uid not in known]
        return sorted(records + more, key=_order) if more else records

    def _series_outlines(self, study_uid: str, series_uid: str) -> list[InstanceOutline]:
        path = below(study_uid, series_uid)
        found = self._side(lambda one: load_outlines(one, self._sight, path)) or []
        gone = {ref for ref in {one.image_set for one in found} if ref in self._gone}
        if gone:
            found = [one for one in found if one.image_set not in gone]
        if self._aws is None:
            return found
        known = {one.instance_uid for one in found}
        more = [one for one in self._aws.instances(study_uid, series_uid) if one.instance_uid not in known]
        return [one.outline for one in self._series_records(study_uid, series_uid)] if more else found

    def _missing(
        self, study_uid: str, series_uid: str | None = None, instance_uid: str | None = None
    ) -> RequestError:
        """The error for a path that leads nowhere."""
        path = (study_uid, series_uid, instance_uid)
        named = " of ".join(uid for uid in reversed(path) if uid)
        is_open = self._sight.is_everything
        known = self._side(lambda connection: missing(connection, *path)) if is_open else None
        return known or ResourceNotFound(f"the index does not know {named}")

    def _there(self, records: Iterator[InstanceRecord]) -> list[InstanceRecord]:
        return [record for record in records if record.image_set not in self._gone]


def _order(record: InstanceRecord) -> tuple[int, str]:
    number = record.instance_number
    return side.MISSING_LAST if number is None else number, record.instance_uid
