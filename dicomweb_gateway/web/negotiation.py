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
    TransferSyntax,
    transfer_syntax,
)
from dicomweb_gateway.errors import NotAcceptable
from dicomweb_gateway.web.accept import ANY, MULTIPART, MediaRange

DICOM = "application/dicom"
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
RENDERED_TYPES = ("image/jpeg", "image/png", "image/gif")


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


def _json_form(wanted: MediaRange) -> Representation | None:
    if wanted.multipart:
        return Representation(DICOM_JSON) if wanted.media_type in (DICOM_JSON, ANY) else None
    if wanted.media_type == JSON:
        return Representation(JSON)
    return Representation(DICOM_JSON) if wanted.covers(DICOM_JSON) else None


@dataclass(frozen=True, slots=True)
class InstanceChoice:
    """How instances go out: `transfer_syntax` None is the default (ELE, W-2), "*" as stored, else a UID."""

    multipart: bool
    transfer_syntax: str | None


def negotiate_instances(ranges: Sequence[MediaRange], single_part_allowed: bool) -> list[InstanceChoice]:
    """`application/dicom`, in several parts or, for one instance, alone (W-1, W-8), most wanted first.

    Which of them an instance can be served in, `instance_form` says; at least one is given.
    """
    choices = []
    for wanted in ranges:
        if not wanted.covers(DICOM) or _is_refused(wanted.transfer_syntax):
            continue
        whole = not wanted.multipart and wanted.media_type == DICOM
        if not whole or single_part_allowed:
            choices.append(InstanceChoice(not whole, wanted.transfer_syntax))
    if choices:
        return choices
    parts = f'{MULTIPART}; type="{DICOM}"; transfer-syntax='
    offered = [f"{parts}*", f"{parts}{EXPLICIT_VR_LE}"]
    raise NotAcceptable(
        "none of the accepted types can be served", [*offered, DICOM] if single_part_allowed else offered
    )


def instance_form(choices: Sequence[InstanceChoice], stored: str, has_pixels: bool) -> Representation:
    """The form in which one instance goes out (W-1 to W-3); NotAcceptable when no choice can be served.

    An instance without pixel data is the same in every syntax, so it always goes out as ELE.
    """
    for choice in choices:
        syntax = _instance_syntax(choice.transfer_syntax, stored) if has_pixels else EXPLICIT_VR_LE
        if syntax is not None:
            return Representation(DICOM, choice.multipart, syntax)
    wanted = ", ".join(dict.fromkeys(str(choice.transfer_syntax) for choice in choices))
    raise NotAcceptable(
        f"transfer syntax {wanted} cannot be made of what is stored",
        [f'{MULTIPART}; type="{DICOM}"; transfer-syntax={uid}' for uid in (STORED, *_syntaxes(stored))],
    )


def _instance_syntax(wanted: str | None, stored: str) -> str | None:
    if wanted is None:
        return stored if _stays_stored(stored) else EXPLICIT_VR_LE
    if wanted in (STORED, stored):
        return stored
    return EXPLICIT_VR_LE if wanted == EXPLICIT_VR_LE and _is_decodable(stored) else None


def negotiate_frames(ranges: Sequence[MediaRange], stored_uid: str, frame_count: int) -> Representation:
    """The form of `frame_count` frames stored in `stored_uid`, by the table of F-4."""
    stored = transfer_syntax(stored_uid)
    stored_type = stored.media_type if stored else OCTET_STREAM
    as_stored = Representation(stored_type, True, stored_uid)
    for wanted in ranges:
        chosen = _frame_form(wanted, stored_uid, stored, as_stored)
        if chosen is None:
            continue
        if wanted.multipart or wanted.media_type == ANY:
            return chosen
        if frame_count == 1:
            return Representation(chosen.media_type, False, chosen.transfer_syntax)
    raise NotAcceptable(
        "none of the accepted types can be served", list(_frame_offers(stored_uid, as_stored))
    )


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
    """A consumer image type out of `offered`, the first of which is the default (R-2)."""
    for wanted in ranges:
        for candidate in offered:
            if wanted.covers(candidate):
                return Representation(candidate, wanted.multipart and wanted.media_type != ANY)
    raise NotAcceptable("none of the accepted types can be served", list(offered))


def _frame_form(
    wanted: MediaRange, stored_uid: str, stored: TransferSyntax | None, as_stored: Representation
) -> Representation | None:
    """What one member of the Accept list asks for, always as parts; None when it cannot be served."""
    decoded = Representation(OCTET_STREAM, True, EXPLICIT_VR_LE)
    syntax = wanted.transfer_syntax
    if _is_refused(syntax):
        return None
    if wanted.covers(OCTET_STREAM):
        if syntax == STORED or (syntax is not None and syntax == stored_uid):
            return as_stored
        if syntax not in (None, EXPLICIT_VR_LE):
            return None
        if syntax is None and wanted.media_type == ANY and _stays_stored(stored_uid):
            return as_stored
        return decoded if _is_decodable(stored_uid) else None
    if stored is None or not stored.encapsulated or not wanted.covers(stored.media_type.lower()):
        return None
    if syntax is None:
        # a plainly named type means its lossless default, which must not be guessed to be what is stored
        return as_stored if _UNNAMED_SYNTAX.get(wanted.media_type, stored_uid) == stored_uid else None
    return as_stored if syntax in (STORED, stored_uid) else None


def _frame_offers(stored_uid: str, as_stored: Representation) -> Iterable[str]:
    forms = [as_stored]
    if _is_decodable(stored_uid):
        forms.append(Representation(OCTET_STREAM, True, EXPLICIT_VR_LE))
    for form in dict.fromkeys(forms):
        yield f'{MULTIPART}; type="{form.media_type}"; transfer-syntax={form.transfer_syntax}'
    yield f"{MULTIPART}; type={OCTET_STREAM}; transfer-syntax=*"


def _is_refused(syntax: str | None) -> bool:
    """Implicit VR and big endian are never sent (A-10)."""
    return syntax in (IMPLICIT_VR_LE, EXPLICIT_VR_BE)


def _stays_stored(uid: str) -> bool:
    """Whether the default form is the stored one: lossy codings are not decoded unasked (W-2)."""
    row = transfer_syntax(uid)
    return row is None or not row.lossless


def _is_decodable(uid: str) -> bool:
    row = transfer_syntax(uid)
    return row is not None and row.family != "video"


def _syntaxes(stored: str) -> list[str]:
    return list(dict.fromkeys([stored, EXPLICIT_VR_LE])) if _is_decodable(stored) else [stored]
