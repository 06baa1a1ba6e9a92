"""The VR that an element really has, when the file, the dictionary or both leave it open (PS3.5 6.2.2)."""

from typing import Any

from pydicom import Dataset
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.hooks import raw_element_vr

from dicomweb_gateway.emulator.ingest.values import BINARY, NUMBERS

_PIXEL_REPRESENTATION = 0x00280103
_LUT_DESCRIPTOR = 0x00283002
_LUT_DATA = 0x00283006
_WAVEFORM_BITS = 0x54001004
_KNOWN = {
    "AE",
    "AS",
    "AT",
    "CS",
    "DA",
    "DS",
    "DT",
    "IS",
    "LO",
    "LT",
    "PN",
    "SH",
    "SQ",
    "ST",
    "TM",
    "UC",
    "UI",
}
_KNOWN |= {"UR", "UT", *NUMBERS, *BINARY}


def actual_vr(
    element: DataElement | RawDataElement,
    dataset: Dataset,
    ancestors: tuple[Dataset, ...],
    signed: int | None,
) -> str:
    """Two letters, never a choice; UN when nothing is known.

    An element without VR (implicit) or with UN takes the dictionary's, private ones that of pydicom's
    private dictionary. `signed` is the PixelRepresentation in force, None when there is none; `ancestors`
    are the data sets around this one, nearest first.
    """
    if isinstance(element, RawDataElement):
        found: dict[str, Any] = {}
        raw_element_vr(element, found, ds=dataset)
        vr = str(found["VR"])
    else:
        vr = str(element.VR)
    if " or " in vr:
        vr = _resolved(vr, element, dataset, signed)
    return vr if vr in _KNOWN else "UN"


def pixel_representation(dataset: Dataset, inherited: int | None) -> int | None:
    """PixelRepresentation of a data set or item, else the inherited one."""
    value = _first(dataset, _PIXEL_REPRESENTATION)
    return value if isinstance(value, int) else inherited


def _resolved(
    choice: str, element: DataElement | RawDataElement, dataset: Dataset, signed: int | None
) -> str:
    if element.tag == _LUT_DATA:
        return "US" if _first(dataset, _LUT_DESCRIPTOR) == 1 else "OW"
    if choice.startswith("US or SS"):
        return "SS" if signed == 1 else "US"
    if choice == "OB or OW" and _first(dataset, _WAVEFORM_BITS) == 8:
        return "OB"
    return "OW"


def _first(dataset: Dataset, tag: int) -> Any:
    """The first value of an element, None when it is missing or unusable."""
    if tag not in dataset:
        return None
    raw = dataset.get_item(tag, keep_deferred=True)
    value = raw.value
    if isinstance(raw, RawDataElement):
        data = value or b""
        return (
            int.from_bytes(data[:2], "little" if raw.is_little_endian else "big") if len(data) >= 2 else None
        )
    return value if isinstance(value, int) else (value[0] if value else None)
