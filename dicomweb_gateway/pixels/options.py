"""What a client may ask of a rendered image, as frozen values (dicomweb.md R-6 to R-12)."""

from dataclasses import dataclass
from typing import NamedTuple

LINEAR, LINEAR_EXACT, SIGMOID = "LINEAR", "LINEAR_EXACT", "SIGMOID"
"""VOI LUT functions (PS3.3 C.11.2.1.3)."""


class Window(NamedTuple):
    """One VOI window in modality LUT output units; `function` is LINEAR, LINEAR_EXACT or SIGMOID."""

    center: float
    width: float
    function: str = LINEAR


class Viewport(NamedTuple):
    """Output box in pixels, and the source region in pixels of the stored frame (0-based corner).

    None for `source_width` or `source_height` means up to the image's edge; a negative one mirrors the
    region (PS3.18 8.3.5.1.3).
    """

    width: int
    height: int
    x: float = 0.0
    y: float = 0.0
    source_width: float | None = None
    source_height: float | None = None


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """`quality` is JPEG's, 1 to 100; `warnings` are texts for `Warning: 299`, parameters that do nothing.

    `profile` is "no", or what `pixels.profile.profiled` takes.
    """

    window: Window | None = None
    viewport: Viewport | None = None
    quality: int = 90
    profile: str = "no"
    warnings: tuple[str, ...] = ()
