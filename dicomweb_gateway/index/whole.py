"""Who may be told by rows of the AWS Lambda: whoever may see everything that the index holds.

The Lambda keeps one row for a study, a series and a patient, whatever image sets, patients and data stores
name them, and what it writes over leaves no trace. A row may so say what one that is hidden says. Whoever
does not see everything is told by our own tables and by metadata documents instead (`document_search.py`).
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, func, select
from sqlalchemy.exc import DBAPIError

from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index import tables as aws
from dicomweb_gateway.index.engine import lacks_table
from dicomweb_gateway.sight import EVERYTHING, Grant, Sight


@dataclass(frozen=True, slots=True)
class Served:
    """What a gateway serves of its index: all that `sight` shows, which its settings narrow to data stores.

    Rows tell of it all where the index holds no other data stores. That is all that they can betray, and of
    data stores that are served to nobody; what an access rule hides of the rest changes nothing.
    """

    sight: Sight = EVERYTHING

    def is_all_for(self, sight: Sight) -> bool:
        """Whether `sight`, within this one, hides nothing of it."""
        return sight.is_everything or (not sight.has_wanted and sight.stores == self.sight.stores)

    def rows_tell(self, connection: Connection, sight: Sight) -> bool:
        """Whether `sight` shows all that the index holds, and this is no matter of access rules."""
        return self.is_all_for(sight) and sight_here(connection, sight).is_everything


def sight_here(connection: Connection, sight: Sight, can_be_aws: bool = True) -> Sight:
    """The sight without its data stores where the index holds no others: they cost nothing then."""
    stores = sight.stores
    if stores is None or any(grant.stores != stores for grant in sight.grants):
        return sight
    for others in _others(stores, can_be_aws):
        try:
            if connection.execute(others).scalar_one():
                return sight
        except DBAPIError as error:
            if not lacks_table(error):
                raise
    return Sight(tuple(Grant(None, grant.wanted) for grant in sight.grants))


def _others(stores: frozenset[str], can_be_aws: bool) -> list[Select[Any]]:
    """How many image sets of other data stores there are, not counted beyond one, of each family."""
    columns = [side.gateway_imageset.c.datastoreid, aws.imageset.c.datastoreid]
    return [
        select(func.count()).select_from(select(one).where(one.not_in(sorted(stores))).limit(1).subquery())
        for one in (columns if can_be_aws else columns[:1])
    ]
