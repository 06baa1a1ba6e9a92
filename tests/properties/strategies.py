"""Searches for the property test: values of the archive, changed a little, in every form that a key takes."""

import os

from hypothesis import strategies as st

from tests.properties import matcher
from tests.properties import store as made
from tests.properties.matcher import KEYS, LEVELS

CASES = int(os.environ.get("PROPERTY_CASES", "200"))
STORES = max(4, CASES // 500)


def known_values(studies, key):
    """What the archive holds for a key, and one UID that it does not."""
    if key in matcher.UIDS:
        things = list(studies)
        for _ in range(("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID").index(key)):
            things = [below for thing in things for below in thing.below]
        return [*(thing.uid for thing in things), "1.9.9"]
    if key in matcher.ITEM_KEYS:
        return [step for step in made.STEPS if step]
    if key == "ModalitiesInStudy":
        return ["CT", "MR", "SR", "ct"]
    chains = [(a, b, c) for a in studies for b in a.below for c in b.below]
    found = {thing.tags[key] for chain in chains for thing in chain if thing.tags.get(key)}
    return sorted(found) or ["x"]


def ranges(value, separator):
    two = st.tuples(value, value).map(sorted).map(separator.join)
    return st.one_of(value, two, value.map(lambda v: v + separator), value.map(lambda v: separator + v))


letters = st.lists(st.sampled_from([*made.LETTERS, *"*?,"]), max_size=5).map("".join)


@st.composite
def near(draw, known):
    """A value of the archive, changed a little or turned into a pattern."""
    value = draw(st.sampled_from(known))
    at = draw(st.integers(0, max(0, len(value) - 1)))
    return draw(
        st.sampled_from(
            [
                value,
                value.swapcase(),
                f" {value} ",
                f"{value[:at]}*",
                f"*{value[at:]}",
                f"{value[:at]}?{value[at + 1 :]}",
                f"*{value[at:]}*",
                f"{value}\u0301",
                f"{value[:at]}*{value[at + 1 :]}",
                value[:at],
            ]
        )
    )


@st.composite
def values(draw, studies, key, switches):
    if switches["empties"] and draw(st.booleans()):
        return matcher.EMPTY
    if draw(st.integers(0, 19)) == 0:
        return draw(st.sampled_from(["", "*", " "]))
    known = known_values(studies, key)
    if key in matcher.UIDS:
        chosen = draw(st.lists(st.sampled_from(known), min_size=1, max_size=6))
        return draw(st.sampled_from([",", "\\"])).join(chosen)
    if key in matcher.NUMBERS:
        number = draw(st.integers(-2, 14))
        value = draw(st.sampled_from([str(number), f"{number:+04d}"]))
    elif key in matcher.DATES:
        value = draw(ranges(st.sampled_from([day for day in made.DATES if day]), "-"))
    elif key in matcher.TIMES:
        clocks = [time for time in made.TIMES if time]
        value = draw(
            st.one_of(st.sampled_from(clocks), st.sampled_from(["10-11", "1030-", "-1030", "00-2359"]))
        )
    elif key in matcher.MOMENTS:
        points = ["2023", "2024", "20240101", "202401011030", "20240101003000+0100", "20240101103000.5-0500"]
        value = draw(ranges(st.sampled_from(points), ".."))
    else:
        value = draw(st.one_of(near(known), near(known), letters))
        if key in matcher.NAMES:
            value = value.replace("\\", "")
            value = "=".join(value.split("=")[:3])
        elif draw(st.booleans()):
            value = draw(st.sampled_from([",", "\\"])).join([value, draw(st.sampled_from(known))])
    return value


@st.composite
def searches(draw, make_store=made.make_store, stores=STORES):
    """A store's number, the level and scope of a search, its pairs and switches, limit and offset."""
    seed = draw(st.integers(0, stores - 1))
    studies = make_store(seed)
    level = draw(st.sampled_from(LEVELS))
    switches = {name: draw(st.booleans()) for name in ("fuzzy", "empties", "multiple", "phonetic")}
    usable = [key for above in LEVELS[: LEVELS.index(level) + 1] for key in KEYS[above]]
    usable += ["Modality"] if level == "study" else []
    keys = draw(st.lists(st.sampled_from(usable), min_size=1, max_size=3))
    named = {"study": "ModalitiesInStudy"} if level == "study" else {}
    pairs = [
        (key, draw(values(studies, "ModalitiesInStudy" if named and key == "Modality" else key, switches)))
        for key in keys
    ]
    scope = {}
    if level != "study" and draw(st.booleans()):
        study = draw(st.sampled_from(studies))
        scope["study"] = study.uid
        if level == "instance" and draw(st.booleans()):
            scope["series"] = draw(st.sampled_from(study.below)).uid
    page = draw(st.none() | st.tuples(st.integers(0, 6), st.integers(0, 6)))
    return seed, level, pairs, switches, scope, page
