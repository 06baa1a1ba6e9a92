"""Whether a sight shows so little that a search of studies had better begin with it (search_plan.py)."""

from sqlalchemy import Connection, func, select

from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.patterns import any_of, like_any, prefix_of
from dicomweb_gateway.index.search_plan import LISTED
from dicomweb_gateway.index.traits import text_patterns
from dicomweb_gateway.qido.expression import QidoQuery
from dicomweb_gateway.sight import Sight

_SERIES = side.gateway_series


def is_rare(connection: Connection, query: QidoQuery, sight: Sight) -> bool:
    """Whether all that the sight shows is series of modalities of which there are few, by their index.

    Walking through the studies in their order would take long to fill a page with them.
    """
    wanted = [dict(grant.wanted).get("Modality") for grant in sight.grants]
    if query.level != "study" or not sight.has_wanted:
        return False
    patterns = tuple(one for some in wanted if some is not None for one in text_patterns(some))
    if None in wanted or not all(prefix_of(one.text) for one in patterns):
        return False
    few = select(_SERIES.c.series_key).where(any_of([like_any(_SERIES.c.modality, patterns)]))
    few = few.limit(LISTED + 1)
    found = connection.execute(select(func.count()).select_from(few.subquery("few"))).scalar_one()
    return bool(found <= LISTED)
