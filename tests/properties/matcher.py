"""A matcher written from dicomweb.md 2.1 to 2.5, word by word and without regard to speed or to our code.

It reads the plain values of `store`, looks at every study, and knows neither SQL nor our parser; how a word
sounds is no matter of the contract, so that it asks us.
"""

import re
import unicodedata
from datetime import datetime, timedelta

from dicomweb_gateway.qido.sounds import sound_of
from tests.properties.store import Thing

UIDS = {"StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"}
NAMES = {"PatientName", "ReferringPhysicianName"}
DATES = {"StudyDate", "SeriesDate", "ContentDate"}
TIMES = {"StudyTime"}
MOMENTS = {"AcquisitionDateTime"}
NUMBERS = {"SeriesNumber", "InstanceNumber"}
KEYS = {
    "study": [
        *("StudyInstanceUID", "PatientID", "PatientName", "PatientSex", "ReferringPhysicianName"),
        *("StudyDescription", "AccessionNumber", "StudyDate", "StudyTime", "ModalitiesInStudy"),
    ],
    "series": [
        *("SeriesInstanceUID", "Modality", "SeriesNumber", "SeriesDescription", "BodyPartExamined"),
        *("SeriesDate", "00400275.00400009", "00400275.00401001"),
    ],
    "instance": ["SOPInstanceUID", "InstanceNumber", "ContentDate", "AcquisitionDateTime"],
}
LEVELS = ("study", "series", "instance")
ITEM_KEYS = {"00400275.00400009": "ScheduledProcedureStepID", "00400275.00401001": "RequestedProcedureID"}
EMPTY = '""'


class RefusedError(Exception):
    """The contract, or a limit that the README tells of, wants a 400."""


class Matcher:
    """One search: `pairs` of matching keys and values, the three switches, and the server's own one."""

    def __init__(
        self,
        level,
        pairs,
        *,
        fuzzy=False,
        empties=False,
        multiple=False,
        phonetic=False,
        study=None,
        series=None,
    ):
        self.level, self.fuzzy, self.empties, self.multiple = level, fuzzy, empties, multiple
        self.phonetic, self.study, self.series = phonetic, study, series
        self.keys: dict[str, list[str]] = {}
        for key, value in pairs:
            self.keys.setdefault(key, []).append(value)

    def run(self, studies: tuple[Thing, ...]) -> list[str]:
        """The UIDs of what matches, in the order of Q-37."""
        for key in NAMES & self.keys.keys() if self.fuzzy else ():
            self.look_for_words(key)
        for key in MOMENTS & self.keys.keys():
            self.look_for_order(key)
        found = []
        for study in studies:
            if self.study not in (None, study.uid):
                continue
            for series in study.below:
                if self.series not in (None, series.uid):
                    continue
                for instance in series.below:
                    chain = (study, series, instance)[: LEVELS.index(self.level) + 1]
                    if chain not in found and self.fits(chain):
                        found.append(chain)
        return [chain[-1].uid for chain in self.sorted(found)]

    def look_for_words(self, key) -> None:
        """A name without a word, such as `-`, asks for nothing to be found, yet not for everything."""
        values = [value for value in self.split(self.keys[key]) if not (self.empties and value == EMPTY)]
        if not self.universal(key, self.keys[key]) and any(
            not any(word.strip("*") for word in words(value)) for value in values
        ):
            raise RefusedError(key)

    def look_for_order(self, key) -> None:
        """Q-20 as Q-18: a range that ends before it starts, which offsets may hide."""
        if not self.universal(key, self.keys[key]):
            for start, end in (value.split("..") for value in self.split(self.keys[key]) if ".." in value):
                if start and end and moment(start, None)[0] > moment(end, None)[1]:
                    raise RefusedError(key)

    def sorted(self, found):
        uids = sorted(found, key=lambda chain: chain[-1].uid)
        if self.level == "study":
            latest = sorted(
                uids, key=lambda c: (c[0].tags["StudyDate"] or "", clock(c[0].tags["StudyTime"]), c[0].uid)
            )
            return latest[::-1]
        number = "SeriesNumber" if self.level == "series" else "InstanceNumber"
        return sorted(uids, key=lambda c: (c[-1].tags[number] is None, int(c[-1].tags[number] or 0)))

    def fits(self, chain) -> bool:
        simple = all(
            self.key_fits(chain, key, values) for key, values in self.keys.items() if key not in ITEM_KEYS
        )
        return simple and self.items_fit(chain)

    def items_fit(self, chain) -> bool:
        """Q-23: one item that meets all keys of the sequence together."""
        wanted = {ITEM_KEYS[key]: values for key, values in self.keys.items() if key in ITEM_KEYS}
        wanted = {key: values for key, values in wanted.items() if not self.universal(key, values)}
        if not wanted:
            return True
        items = chain[1].tags["RequestAttributesSequence"]
        if not items:  # no item is no value, if nothing else is asked for
            return self.empties and all(self.has_empty(values) for values in wanted.values())
        return any(
            all(self.value_fits(key, item[key], values) for key, values in wanted.items()) for item in items
        )

    def key_fits(self, chain, key, values) -> bool:
        if self.universal(key, values):
            return True
        values = self.split(values)
        if key == "ModalitiesInStudy" or (key == "Modality" and self.level == "study"):  # Q-R1, Q-17
            present = [one.tags["Modality"] for one in chain[0].below if one.tags["Modality"]]
            if not present and self.empties and self.has_empty(values):
                return True
            return any(self.value_fits(key, one, values) for one in present)
        if key in UIDS:
            level = {"StudyInstanceUID": 0, "SeriesInstanceUID": 1, "SOPInstanceUID": 2}[key]
            return self.value_fits(key, chain[level].uid, values)
        for thing in chain:
            if key in thing.tags:
                zone = thing.tags.get("TimezoneOffsetFromUTC")
                return self.value_fits(key, thing.tags[key], values, zone)
        raise AssertionError(f"{key} at {self.level} level")

    def split(self, values):
        if not self.multiple:
            return values
        parts = []  # a backslash separates values; empty ones beside others say nothing
        for value in values:
            parts += [part for part in value.split("\\") if part.strip(" ")] or [value.replace("\\", "")]
        return parts

    def universal(self, key, values) -> bool:
        """Q-10, also for a member of a list (Q-16) and a name without anything to look for."""
        values = self.split(values)
        if key in NAMES:
            return any(all(not fold(group).strip(" *") for group in value.split("=")) for value in values)
        if key not in UIDS | DATES | TIMES | MOMENTS | NUMBERS:
            members = [
                member for value in values for member in re.split(r"[,\\]", value) if member.strip(" ")
            ]
            if any(not member.strip(" *") for member in members):
                return True
        return any(not value.strip(" *") for value in values)

    def has_empty(self, values) -> bool:
        return any(value.strip(" ") == EMPTY for value in self.split(values))

    def value_fits(self, key, stored, values, zone=None) -> bool:
        values = [value.strip(" ") for value in values]
        if self.empties:
            if EMPTY in values and (stored is None or is_nothing(key, stored)):
                return True
            values = [value for value in values if value != EMPTY]
            if not values:
                return False
        if key in NAMES:
            return self.name_fits(stored or "", values)
        if key in UIDS:
            return any(stored == one for value in values for one in re.split(r"[,\\]", value))
        if stored is None:
            return False
        if key in DATES:
            return any(in_range(stored, value, lambda day: (day, day)) for value in values)
        if key in TIMES:
            return any(in_range(stored, value, interval) for value in values)
        if key in MOMENTS:
            return any(moment_fits(stored, zone, value) for value in values)
        if key in NUMBERS:
            return any(int(stored) == int(value) for value in values)
        return text_fits(stored, values)

    def name_fits(self, stored, values) -> bool:
        if self.fuzzy:
            return any(words_fit(stored, value, self.phonetic) for value in values)
        groups = [fold(group) for group in stored.split("=")]
        return any(self.groups_fit(groups, value) for value in values)

    @staticmethod
    def groups_fit(groups, value) -> bool:
        wanted = [fold(group) for group in value.split("=")]
        if len(wanted) == 1:
            return any(group and like(wanted[0], group) for group in groups)
        groups = [*groups, "", "", ""]
        return all(
            not pattern.strip(" *") or (bool(group) and like(pattern, group))
            for pattern, group in zip(wanted, groups, strict=False)
        )


def is_nothing(key, stored) -> bool:
    if key in NAMES:
        return not any(fold(group) for group in stored.split("="))
    return isinstance(stored, str) and not stored.strip()


def like(pattern, text) -> bool:
    """Q-13."""
    wild = "".join({"*": ".*", "?": "."}.get(one, re.escape(one)) for one in pattern)
    return re.fullmatch(wild, text, re.DOTALL) is not None


def fold(group) -> str:
    """Q-12: case, and empty components at the end, mean nothing."""
    group = "^".join(part.strip(" ") for part in group.split("^"))
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", group.rstrip("^")).casefold())


def text_fits(stored, values) -> bool:
    """Q-11, Q-16; all text keys that are tried here are CS, SH or LO."""
    stored = stored.strip(" ")
    for value in values:
        members = [member.strip(" ") for member in re.split(r"[,\\]", value)]
        if stored and any(like(member, stored) for member in [value, *members] if member):
            return True
    return False


def words(text) -> list[str]:
    """Q-27."""
    folded = []
    for word in re.split(r"[\^=\s\-,]", text):
        apart = unicodedata.normalize("NFD", unicodedata.normalize("NFC", word).casefold())
        bare = "".join(one for one in apart if unicodedata.category(one) != "Mn" or one in "\u3099\u309a")
        folded.append(unicodedata.normalize("NFC", bare.replace("ø", "o")))
    return [word for word in folded if word]


def words_fit(stored, value, phonetic) -> bool:
    wanted = [word for word in words(value) if word.strip("*")]
    return all(
        any(like(f"{word}*", one) or (phonetic and alike(word.strip("*"), one)) for one in words(stored))
        for word in wanted
    )


def alike(word, other) -> bool:
    return sound_of(word) == sound_of(other) != ""


def interval(value) -> tuple[str, str]:
    """Q-19: first and last microsecond of a TM value, as text that can be compared."""
    digits, _, fraction = value.partition(".")
    low = digits.ljust(6, "0") + fraction.ljust(6, "0")
    return low, digits + "235959"[len(digits) :] + fraction.ljust(6, "9")


def clock(value) -> str:
    return interval(value)[0] if value else ""


def in_range(stored, value, bounds) -> bool:
    """Q-18."""
    start, dash, end = value.partition("-")
    low = bounds(start)[0] if start else ""
    high = (bounds(end)[1] if end else "9" * 20) if dash else bounds(start)[1]
    return low <= bounds(stored)[0] <= high


def moment(text, zone) -> tuple[datetime, datetime]:
    """Q-20: first and last microsecond of a DT value in UTC."""
    offset = re.search(r"[+-]\d{4}$", text)
    if offset:
        text, zone = text[: offset.start()], offset[0]
    digits, _, fraction = text.partition(".")
    low = digits + "00000101000000"[len(digits) :] + fraction.ljust(6, "0")
    first = datetime.strptime(low, "%Y%m%d%H%M%S%f")
    steps = {
        4: timedelta(days=366 if first.year % 4 == 0 else 365),
        8: timedelta(days=1),
        12: timedelta(minutes=1),
    }
    length = steps.get(len(digits), timedelta(microseconds=10 ** (6 - len(fraction))))
    shift = timedelta(hours=int(zone[:3]), minutes=int(zone[0] + zone[3:])) if zone else timedelta()
    return first - shift, first + length - timedelta(microseconds=1) - shift


def moment_fits(stored, zone, value) -> bool:
    """`value` is written with `..` in place of the range's hyphen, so that nothing has to be guessed here."""
    start, dots, end = value.partition("..")
    low = moment(start, None)[0] if start else datetime.min
    high = (moment(end, None)[1] if end else datetime.max) if dots else moment(start, None)[1]
    return low <= moment(stored, zone)[0] <= high
