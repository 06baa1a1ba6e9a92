"""The SQL compiler against the naive matcher: same query, same resources, on each database.

PROPERTY_CASES sets the number of searches for each database (default 200, the same ones at each run; with
the variable set they differ from run to run).
"""

from hypothesis import given

from dicomweb_gateway.errors import InvalidRequest
from dicomweb_gateway.qido.parse import parse_query
from tests.index.searching import search
from tests.properties import matcher
from tests.properties import store as made
from tests.properties.drawing import LARGE, drawn
from tests.properties.matcher import Matcher, RefusedError
from tests.properties.strategies import CASES, searches

UID_OF = {"study": "0020000D", "series": "0020000E", "instance": "00080018"}


SWITCHES = {"fuzzy": "fuzzymatching", "empties": "emptyvaluematching", "multiple": "multiplevaluematching"}


def answered(engine, level, pairs, switches, scope, page):
    """The UIDs of the answer, None when the search is refused."""
    asked = [(key, value.replace("..", "-") if key in matcher.MOMENTS else value) for key, value in pairs]
    asked += [(parameter, str(switches[name]).lower()) for name, parameter in SWITCHES.items()]
    asked += [("limit", str(page[0])), ("offset", str(page[1]))] if page else []
    scope = {f"{name}_uid": uid for name, uid in scope.items()}
    try:
        query = parse_query(level, asked, phonetic=switches["phonetic"], **scope)
    except InvalidRequest:
        return None
    return [row[UID_OF[level]]["Value"][0] for row in search(engine, query).rows]


def expected(studies, level, pairs, switches, scope, page):
    try:
        found = Matcher(level, pairs, **switches, **scope).run(studies)
    except RefusedError:
        return None
    return found[page[1] : page[1] + page[0]] if page else found


@drawn(CASES, LARGE)
@given(asked=searches())
def test_searches_find_what_the_contract_says(engine_of, asked):
    seed, *query = asked
    assert answered(engine_of(seed), *query) == expected(made.make_store(seed), *query)
