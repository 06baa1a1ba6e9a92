"""Accept to Representation: which form of a resource goes out (dicomweb.md 1.1, W-1 to W-8, F-4).

Every rule works down the client's list and takes the first member that can be served; NotAcceptable
names what could have been (A-3, A-9).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dicomweb_gateway.dicom.transfer_syntax import (
    EXPLICIT_VR_BE,
    EXPLICIT_VR_LE,
    IMPLICIT_VR_LE,
    J2K_LOSSLESS,
    JPEG_LOSSLESS_SV1,
    JPEG_LS_LOSSLESS,
    OCTET_STREAM,
    RLE,
    transfer_syntax,
)
from dicomweb_gateway.errors import NotAcceptable
from dicomweb_gateway.pixels.targets import Servable
from dicomweb_gateway.web.accept import ANY, MULTIPART, MediaRange

DICOM = "application/dicom"
ZIP = "application/zip"
DICOM_JSON = "application/dicom+json"
DICOM_XML = "application/dicom+xml"
JSON = "application/json"
STORED = "*"
_UNNAMED_SYNTAX = {
    "image/jp2": J2K_LOSSLESS,
    "image/jls": JPEG_LS_LOSSLESS,
    "image/jpeg": JPEG_LOSSLESS_SV1,
    "image/dicom-rle": RLE,
}
"""What a media type without a transfer syntax stands for (PS3.18 8.7.3; F-4)."""


@dataclass(frozen=True, slots=True)
class Representation:
    """The chosen form. `media_type` is that of a part when `multipart`, else of the whole answer.

    `transfer_syntax` is the UID of the bytes sent; None where the type has none (JSON, rendered).
    """

    media_type: str
    multipart: bool = False
    transfer_syntax: str | None = None

    @property
    def part_type(self) -> str:
        """Content-Type of a part: pixel data carries its transfer syntax, unquoted (M-4)."""
        if self.transfer_syntax is None:
            return self.media_type
        return f"{self.media_type}; transfer-syntax={self.transfer_syntax}"


def negotiate_json(ranges: Sequence[MediaRange]) -> Representation:
    """DICOM JSON, under either of its two names (Q-40, A-4)."""
    for wanted in ranges:
        chosen = _json_form(wanted)
        if chosen is not None:
            return chosen
    raise NotAcceptable("none of the accepted types can be served", [DICOM_JSON, JSON])


def negotiate_search(ranges: Sequence[MediaRange]) -> Representation:
    """What searches and metadata answer: DICOM JSON, or parts of DICOM XML where asked for (Q-40, J-7)."""
    for wanted in ranges:
        if wanted.multipart and wanted.media_type == DICOM_XML:
            return Representation(DICOM_XML, True)
        chosen = _json_form(wanted)
        if chosen is not None:
            return chosen
    offered = [DICOM_JSON, JSON, f'{MULTIPART}; type="{DICOM_XML}"']
    raise NotAcceptable("none of the accepted types can be served", offered)


def negotiate_stored(ranges: Sequence[MediaRange]) -> str:
    """The media type of a Store Instances Response: DICOM JSON, or DICOM XML where asked for (S-1)."""
    for wanted in ranges:
        if wanted.media_type == DICOM_XML:
            return DICOM_XML
        chosen = _json_form(wanted)
        if chosen is not None:
            return chosen.media_type
    raise NotAcceptable("none of the accepted types can be served", [DICOM_JSON, JSON, DICOM_XML])


def _json_form(wanted: MediaRange) -> Representation | None:
    if wanted.multipart:
        return Representation(DICOM_JSON) if wanted.media_type in (DICOM_JSON, ANY) else None
    if wanted.media_type == JSON:
        return Representation(JSON)
    return Representation(DICOM_JSON) if wanted.covers(DICOM_JSON) else None


@dataclass(frozen=True, slots=True)
class InstanceChoice:
    """How instances go out: `transfer_syntax` None is the default (ELE, W-2), "*" as stored, else a UID.

    `zipped`: all of them in one ZIP archive (W-9).
    """

    multipart: bool
    transfer_syntax: str | None
    zipped: bool = False


def negotiate_instances(ranges: Sequence[MediaRange], single_part_allowed: bool) -> list[InstanceChoice]:
    """`application/dicom`, in several parts or, for one instance, alone (W-1, W-8), most wanted first.

    Which of them an instance can be served in, `instance_form` says; at least one is given. What has several
    instances can be had as a ZIP archive instead (W-9): the only choice where it is wanted most.
    """
    choices: list[InstanceChoice] = []
    for wanted in ranges:
        if _is_refused(wanted.transfer_syntax):
            continue
        if wanted.media_type == ZIP and not (wanted.multipart or single_part_allowed or choices):
            return [InstanceChoice(False, wanted.transfer_syntax, zipped=True)]
        if not wanted.covers(DICOM):
            continue
        whole = not wanted.multipart and wanted.media_type == DICOM
        if not whole or single_part_allowed:
            choices.append(InstanceChoice(not whole, wanted.transfer_syntax))
    if choices:
        return choices
    parts = f'{MULTIPART}; type="{DICOM}"; transfer-syntax='
    offered = [f"{parts}*", f"{parts}{EXPLICIT_VR_LE}", DICOM if single_part_allowed else ZIP]
    raise NotAcceptable("none of the accepted types can be served", offered)


def instance_form(choices: Sequence[InstanceChoice], syntaxes: Servable | None) -> Representation:
    """The form in which one instance goes out (W-1 to W-3); NotAcceptable when no choice can be served.

    `syntaxes` None: an instance without pixel data is the same in every syntax, so it goes out as ELE.
    """
    for choice in choices:
        syntax = _instance_syntax(choice.transfer_syntax, syntaxes) if syntaxes else EXPLICIT_VR_LE
        if syntax is not None:
            return Representation(DICOM, choice.multipart, syntax)
    wanted = ", ".join(dict.fromkeys(choice.transfer_syntax or EXPLICIT_VR_LE for choice in choices))
    raise NotAcceptable(
        f"transfer syntax {wanted} cannot be made of what is stored",
        [f'{MULTIPART}; type="{DICOM}"; transfer-syntax={uid}' for uid in (STORED, *(syntaxes or ()))],
    )


def _instance_syntax(wanted: str | None, syntaxes: Servable) -> str | None:
    if wanted is None:
        wanted = syntaxes.stored if _stays_stored(syntaxes.stored) else EXPLICIT_VR_LE
    uid = syntaxes.stored if wanted == STORED else wanted
    return uid if uid in syntaxes else None


def negotiate_frames(ranges: Sequence[MediaRange], syntaxes: Servable, frame_count: int) -> Representation:
    """The form of `frame_count` frames that can be served in `syntaxes`, by the table of F-4.

    Of equally wanted members the first that can be served. Only a lossless coding of what is stored lossy
    stands behind the others: it is larger than what is stored and no better (W-2, V-1).
    """
    forms = []
    for wanted in ranges:
        syntax = _frame_syntax(wanted, syntaxes)
        in_parts = wanted.multipart or wanted.media_type == ANY
        if syntax is not None and (in_parts or frame_count == 1):
            swollen = _stays_stored(syntaxes.stored) and syntax not in (syntaxes.stored, EXPLICIT_VR_LE)
            forms.append((-wanted.quality, swollen, frames_in(syntax, in_parts)))
    if not forms:
        raise NotAcceptable("none of the accepted types can be served", list(_frame_offers(syntaxes)))
    return min(forms, key=lambda form: form[:2])[2]


def frames_in(syntax: str, multipart: bool = True) -> Representation:
    """Frames in transfer syntax `syntax`, typed by it (F-4)."""
    return Representation(_part_type(syntax), multipart, syntax)


def negotiate_bulk(ranges: Sequence[MediaRange], media_type: str = OCTET_STREAM) -> Representation:
    """Bulk data of `media_type` (octet-stream, or an encapsulated document's own type; B-2, B-3).

    In parts where the list names multipart and for a missing list; alone for a plain type, and for `*/*`
    without multipart in the list.
    """
    types = dict.fromkeys((media_type, OCTET_STREAM))
    any_multipart = any(wanted.multipart for wanted in ranges)
    for wanted in ranges:
        for candidate in types:
            if wanted.covers(candidate) and wanted.transfer_syntax in (None, STORED, EXPLICIT_VR_LE):
                parts = wanted.multipart or (wanted.media_type == ANY and any_multipart)
                return Representation(candidate, parts)
    raise NotAcceptable(
        "none of the accepted types can be served",
        [form for name in types for form in (f'{MULTIPART}; type="{name}"', name)],
    )


def negotiate_rendered(ranges: Sequence[MediaRange], offered: Sequence[str]) -> Representation:
    """A consumer type out of `offered`, the first of which is the default (R-2, R-4).

    In parts only where parts of a type are named: a picture is one thing (R-1).
    """
    for wanted in ranges:
        for candidate in offered:
            if wanted.covers(candidate.lower()):
                return Representation(candidate, wanted.multipart and wanted.media_type != ANY)
    raise NotAcceptable("none of the accepted types can be served", list(offered))


def _frame_syntax(wanted: MediaRange, syntaxes: Servable) -> str | None:
    """The transfer syntax that one member of the Accept list asks for; None when it cannot be served.

    `application/octet-stream` may name any syntax, as clients do to get what is stored; a named image or
    video type must be that of the syntax.
    """
    syntax = wanted.transfer_syntax
    if _is_refused(syntax):
        return None
    if syntax is None:
        return _unnamed_syntax(wanted, syntaxes)
    uid = syntaxes.stored if syntax == STORED else syntax
    if uid in syntaxes and (wanted.covers(OCTET_STREAM) or wanted.covers(_part_type(uid).lower())):
        return uid
    return None


def _unnamed_syntax(wanted: MediaRange, syntaxes: Servable) -> str | None:
    """What a media type without a transfer syntax means for this instance (W-2, F-4)."""
    stored = syntaxes.stored
    if wanted.covers(OCTET_STREAM):
        as_stored = wanted.media_type == ANY and _stays_stored(stored)
        default = stored if as_stored else EXPLICIT_VR_LE
    elif wanted.media_type in _UNNAMED_SYNTAX:
        # its lossless default, which must not be guessed to be a lossy stored form of the same type
        default = _UNNAMED_SYNTAX[wanted.media_type]
    elif _is_encapsulated(stored) and wanted.covers(_part_type(stored).lower()):
        default = stored
    elif wanted.media_type == "image/*":
        return next((uid for uid in syntaxes.made if _part_type(uid).startswith("image/")), None)
    else:
        return None
    return default if default in syntaxes else None


def _frame_offers(syntaxes: Servable) -> Iterable[str]:
    for uid in syntaxes:
        if not _is_refused(uid):
            yield f'{MULTIPART}; type="{_part_type(uid)}"; transfer-syntax={uid}'
    yield f"{MULTIPART}; type={OCTET_STREAM}; transfer-syntax=*"


def _part_type(uid: str) -> str:
    """Media type of a frame in `uid` (F-4)."""
    row = transfer_syntax(uid)
    return row.media_type if row else OCTET_STREAM


def _is_encapsulated(uid: str) -> bool:
    row = transfer_syntax(uid)
    return row is not None and row.encapsulated


def _is_refused(syntax: str | None) -> bool:
    """Implicit VR and big endian are never sent (A-10)."""
    return syntax in (IMPLICIT_VR_LE, EXPLICIT_VR_BE)


def _stays_stored(uid: str) -> bool:
    """Whether the default form is the stored one: lossy codings are not decoded unasked (W-2)."""
    row = transfer_syntax(uid)
    return row is None or not row.lossless
