"""Accept values as DICOMweb clients really write them (dicomweb.md A-1 to A-8).

Werkzeug's own parser cuts `multipart/related; type=application/dicom` at the slash, so this is ours.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

ANY = "*/*"
MULTIPART = "multipart/related"

_ALIASES = {
    "*": ANY,
    "image/jph": "image/jphc",
    "image/jhc": "image/jphc",
    "image/x-jls": "image/jls",
    "image/x-dicom-rle": "image/dicom-rle",
    "image/dicom+jpeg": "image/jpeg",
    "image/jpg": "image/jpeg",
    "image/j2c": "image/jp2",
    "application/dicom json": "application/dicom+json",
    "application/dicom xml": "application/dicom+xml",
    "image/svg xml": "image/svg+xml",
}
"""Other spellings to the standard name (A-8); a `+` that a query parser took for a space (C-9, L-19)."""

_PARAMETER = re.compile(r'\s*([^=;\s]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;]*))\s*(?:;|$)')


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One acceptable type, standard-named and lower case.

    `multipart` True means `multipart/related` of parts of `media_type`; a bare `multipart/related` and
    `multipart/related; type="*/*"` have media type `*/*` (A-5, A-6). `transfer_syntax` is a UID, "*" or
    None when not named. `quality` is 0 to 1.
    """

    media_type: str
    multipart: bool = False
    transfer_syntax: str | None = None
    quality: float = 1.0
    parameters: Mapping[str, str] = field(default_factory=dict, compare=False)

    def covers(self, media_type: str) -> bool:
        """Whether `media_type` (lower case) is this type, or of its `image/*` or `*/*` kind (A-7)."""
        if self.media_type in (ANY, media_type):
            return True
        return self.media_type.endswith("/*") and media_type.startswith(self.media_type[:-1])


def parse_accept(values: list[str]) -> list[MediaRange]:
    """All types of several Accept lines or comma lists, most wanted first; `q=0` left out (A-1, A-2).

    Equal weights keep their order. No value at all is the same as a bare `multipart/related`: the
    resource's default, in parts where the resource has parts (A-5, B-2).
    """
    return list(_parse_all(tuple(values)))


@lru_cache(maxsize=256)
def _parse_all(values: tuple[str, ...]) -> tuple[MediaRange, ...]:
    """A client says the same each time."""
    ranges = [parsed for value in values for item in _split(value) if (parsed := _parse(item)) is not None]
    if not ranges:
        return (MediaRange(ANY, multipart=True),)
    wanted = [parsed for parsed in ranges if parsed.quality > 0]
    return tuple(sorted(wanted, key=lambda parsed: -parsed.quality))


def _split(value: str) -> Iterator[str]:
    """The members of a comma list; commas inside quotes do not count."""
    start, quoted = 0, False
    for position, character in enumerate(value):
        if character == '"' and (position == 0 or value[position - 1] != "\\"):
            quoted = not quoted
        elif character == "," and not quoted:
            yield value[start:position]
            start = position + 1
    yield value[start:]


def _parse(item: str) -> MediaRange | None:
    name, _, rest = item.partition(";")
    media_type = _standard_name(name)
    if not media_type:
        return None
    parameters = _parameters(rest)
    multipart = media_type in (MULTIPART, "multipart/*")
    if multipart:
        # some clients quote the whole type of the parts, parameters and all
        inner, _, more = parameters.get("type", "").partition(";")
        media_type = _standard_name(inner) or ANY
        parameters = {**_parameters(more), **parameters}
    return MediaRange(
        media_type,
        multipart,
        parameters.get("transfer-syntax", "").strip() or None,
        _quality(parameters.get("q", "1")),
        parameters,
    )


def _parameters(text: str) -> dict[str, str]:
    """`name=value` pairs between semicolons, names lower case, values unquoted."""
    return {
        match[1].lower(): (re.sub(r"\\(.)", r"\1", match[2]) if match[2] is not None else match[3].strip())
        for match in _PARAMETER.finditer(text)
    }


def _standard_name(name: str) -> str:
    lowered = " ".join(name.lower().split())
    return _ALIASES.get(lowered, lowered)


def _quality(text: str) -> float:
    """A weight between 0 and 1; nonsense counts as 1, so that a sloppy client is still answered."""
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 1.0
