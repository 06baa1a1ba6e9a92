"""Query parameters of rendered and thumbnail requests -> RenderOptions (dicomweb.md R-6 to R-10, R-13)."""

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite

from dicomweb_gateway.errors import InvalidRequest
from dicomweb_gateway.pixels.options import LINEAR, LINEAR_EXACT, SIGMOID, RenderOptions, Viewport, Window
from dicomweb_gateway.pixels.profile import OWN, SRGB

Arguments = Mapping[str, Sequence[str]]
"""Query parameters: name to every value given for it, percent-decoded."""

THUMBNAIL_SIDE = 128
"""Longest side in pixels of a thumbnail that nobody gave a size for (R-13)."""

MAX_SIDE = 16384
"""Largest viewport side in pixels that we draw."""

_FUNCTIONS = {"linear": LINEAR, "linear-exact": LINEAR_EXACT, "sigmoid": SIGMOID}
_ANNOTATIONS = {"patient", "technique"}
_PROFILES = {"no", "yes", "srgb", "adobergb", "rommrgb"}


def parse_render_options(args: Arguments) -> RenderOptions:
    """What `args` ask of a rendered image. Raises InvalidRequest that names the parameter.

    Parameters that belong to others (`accept`, ...) are left alone. Repeated values of one parameter:
    the last counts.
    """
    profile = _profile(args)
    return RenderOptions(
        window=_window(_last(args, "window")),
        viewport=_viewport(_last(args, "viewport")),
        quality=_quality(_last(args, "quality")),
        profile=profile,
        warnings=(*_annotation_warnings(args), *_profile_warnings(profile)),
    )


def parse_thumbnail_options(args: Arguments) -> RenderOptions:
    """What `args` ask of a thumbnail: `viewport=vw,vh` only, everything else is ignored (R-13)."""
    viewport = _viewport(_last(args, "viewport"))
    if viewport is None:
        viewport = Viewport(THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    return RenderOptions(viewport=Viewport(viewport.width, viewport.height))


def _last(args: Arguments, name: str) -> str | None:
    values = args.get(name) or ()
    return values[-1].strip() if values else None


def _quality(text: str | None) -> int:
    if text is None:
        return RenderOptions().quality
    if not (text.isascii() and text.isdigit()) or len(text) > 3 or not 1 <= int(text) <= 100:
        raise InvalidRequest("quality must be a whole number from 1 to 100")
    return int(text)


def _window(text: str | None) -> Window | None:
    """`center,width,function` in modality LUT output units (R-7)."""
    if text is None:
        return None
    members = [member.strip() for member in text.split(",")]
    if len(members) != 3 or members[2].lower() not in _FUNCTIONS:
        raise InvalidRequest(
            f"window must be center,width,function with function one of {_names(_FUNCTIONS)}"
        )
    center, width = _number(members[0], "window"), _number(members[1], "window")
    function = _FUNCTIONS[members[2].lower()]
    if function == LINEAR and width < 1:
        raise InvalidRequest("window: the width must be at least 1 for linear")
    if width <= 0:
        raise InvalidRequest("window: the width must be more than 0")
    return Window(center, width, function)


def _viewport(text: str | None) -> Viewport | None:
    """`vw,vh[,sx,sy,sw,sh]`; empty source members take their defaults (R-8)."""
    if text is None:
        return None
    members = [member.strip() for member in text.split(",")]
    if not 2 <= len(members) <= 6:
        raise InvalidRequest("viewport must be vw,vh or vw,vh,sx,sy,sw,sh")
    x, y, wide, high = (
        None if index >= len(members) or not members[index] else _number(members[index], "viewport")
        for index in range(2, 6)
    )
    if wide == 0 or high == 0:
        raise InvalidRequest("viewport: the source region is empty")
    return Viewport(_side(members[0]), _side(members[1]), x or 0.0, y or 0.0, wide, high)


def _side(text: str) -> int:
    number = _number(text, "viewport")
    if number != int(number) or not 1 <= number <= MAX_SIDE:
        raise InvalidRequest(f"viewport: width and height must be whole numbers from 1 to {MAX_SIDE}")
    return int(number)


def _number(text: str, name: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not isfinite(number) or not text.isascii() or "_" in text:
        raise InvalidRequest(f"{name}: {text[:20]!r} is not a number")
    return number


def _annotation_warnings(args: Arguments) -> Iterable[str]:
    """Known annotations are not drawn, which the client is told (R-9)."""
    text = _last(args, "annotation")
    if text is None:
        return ()
    tokens = {token.strip().lower() for token in text.split(",")}
    if not tokens <= _ANNOTATIONS:
        raise InvalidRequest(f"annotation must be of {_names(_ANNOTATIONS)}")
    return ("annotation is not supported and nothing was drawn",)


def _profile(args: Arguments) -> str:
    """A known value of iccprofile in lower case, "no" when there is none (R-10)."""
    text = _last(args, "iccprofile")
    profile = "no" if text is None else text.lower()
    if profile not in _PROFILES:
        raise InvalidRequest(f"iccprofile must be one of {_names(_PROFILES)}")
    return profile


def _profile_warnings(profile: str) -> Iterable[str]:
    """Colour spaces that we do not convert to; nothing is embedded then."""
    if profile in ("no", OWN, SRGB):
        return ()
    return (f"iccprofile={profile} is not supported and no profile was embedded",)


def _names(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))
