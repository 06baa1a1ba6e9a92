"""Which attribute stands at which level of an image set document (healthimaging.md 2.2).

Everything that is in none of the lists stands at instance level. The emulator writes documents by this
table, and searching knows by it at which level an attribute is held.
"""

from typing import Literal

Level = Literal["patient", "study", "series", "instance"]

_PATIENT = (
    "0010: 0010 0020 0021 0022 0024 0026 0027 0030 0032 0033 0034 0035 0040 0200 0212 0213 0216 0218 0219 "
    "0221 1001 1002 1100 2160 2201 2202 2292 2293 2294 2297 2298 2299 4000;"
    "0008: 1120;"
    "0012: 0010 0020 0021 0030 0031 0040 0042 0062 0063 0064 0081 0082"
)
_STUDY = (
    "0020: 000D 0010;"
    "0008: 0020 0030 0050 0051 0090 0096 009C 009D 1030 1032 1048 1049 1060 1062 1080 1084 1110;"
    "0032: 1033 1034 1066 1067;"
    "0040: 1012;"
    "0010: 1010 1020 1021 1022 1023 1024 1030 2000 2110 2180 21A0 21B0 21C0 21D0 2203;"
    "0038: 0010 0014 0060 0062 0064 0500;"
    "0012: 0050 0051 0052 0053 0083"
)
_SERIES = (
    "0008: 0021 0031 0060 0070 0080 0081 1010 1040 1041 1050 1052 1070 1072 1090 103E 103F 1111 1250;"
    "0018: 0015 1000 1002 1008 100A 100B 1020 1030 1050 1200 1201 5100;"
    "0020: 000E 0011 0052 0060 1040;"
    "0028: 0108 0109 0120;"
    "0040: 0275;"
    "0010: 2210;"
    "300A: 0700;"
    "0012: 0060 0071 0072"
)


def _tags(text: str) -> list[int]:
    groups = (part.split(":") for part in text.split(";"))
    return [int(group + element, 16) for group, elements in groups for element in elements.split()]


LEVEL_OF: dict[int, Level] = {
    **dict.fromkeys(_tags(_PATIENT), "patient"),
    **dict.fromkeys(_tags(_STUDY), "study"),
    **dict.fromkeys(_tags(_SERIES), "series"),
}


def level_of(tag: int) -> Level:
    """The level of a top-level element."""
    return LEVEL_OF.get(tag, "instance")
