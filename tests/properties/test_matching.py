"""Matching over DICOM JSON against the naive matcher, and with it against SQL: same query, same resources.

PROPERTY_CASES sets the number of searches, as for test_search.py.
"""

from functools import cache

from hypothesis import given

from dicomweb_gateway.errors import InvalidRequest
from dicomweb_gateway.imagesets.elements import dicom_json
from dicomweb_gateway.qido.matching import meets
from dicomweb_gateway.qido.parse import parse_query
from tests.properties import matcher
from tests.properties import store as made
from tests.properties.drawing import LARGE, drawn
from tests.properties.matcher import LEVELS, Matcher, RefusedError
from tests.properties.strategies import CASES, searches
from tests.properties.test_search import SWITCHES, UID_OF

UID_KEYS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


@cache
def held(seed, level):
    """What a search of the level may see of each resource: its attributes and those above."""
    chains = [(a, b, c) for a in made.make_store(seed) for b in a.below for c in b.below]
    depth = LEVELS.index(level) + 1
    documents = {}
    for chain in (chain[:depth] for chain in chains):
        tags = {key: value for thing in chain for key, value in thing.tags.items()}
        uids = {key: thing.uid for key, thing in zip(UID_KEYS, chain, strict=False)}
        documents[chain[-1].uid] = dicom_json({**tags, **uids}, {})
    return list(documents.values())


def answered(seed, level, pairs, switches, scope):
    """The UIDs of all that meets the conditions, None when the search is refused."""
    asked = [(key, value.replace("..", "-") if key in matcher.MOMENTS else value) for key, value in pairs]
    asked += [(parameter, str(switches[name]).lower()) for name, parameter in SWITCHES.items()]
    asked += [(f"{name.capitalize()}InstanceUID", uid) for name, uid in scope.items()]
    try:
        conditions = parse_query(level, asked, phonetic=switches["phonetic"]).conditions
    except InvalidRequest:
        return None
    return {
        one[UID_OF[level]]["Value"][0]
        for one in held(seed, level)
        if all(meets(condition, one) for condition in conditions)
    }


def expected(seed, level, pairs, switches, scope):
    try:
        return set(Matcher(level, pairs, **switches, **scope).run(made.make_store(seed)))
    except RefusedError:
        return None


@drawn(CASES, LARGE)
@given(asked=searches())
def test_dicom_json_meets_what_the_contract_says(asked):
    seed, level, pairs, switches, scope, _ = asked
    of_series = {"ModalitiesInStudy"} | ({"Modality"} if level == "study" else set())
    pairs = [(key, value) for key, value in pairs if key not in of_series]
    if any(key in UID_KEYS for key, _ in pairs):
        scope = {}  # a scope is one more key here, and repeated keys are a list
    assert answered(seed, level, pairs, switches, scope) == expected(seed, level, pairs, switches, scope)
