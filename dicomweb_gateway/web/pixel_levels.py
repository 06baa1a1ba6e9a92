"""What is told of a frame's levels, so that a client can show their pixels by itself."""

from base64 import b64encode
from typing import Any

from dicomweb_gateway.pixels.optionals import Samples
from dicomweb_gateway.pixels.unwindowed import curve_of, scaling_of, windows_of
from dicomweb_gateway.wado.pixel_levels import LeveledFrame

DESCRIPTION = "Image-Description"
"""The header that says what the bytes of a level are: JSON, ASCII only."""

_MOST_WINDOWS = 16
"""A header has its limits."""


def facts_of(frame: LeveledFrame) -> dict[str, Any]:
    """The levels from the smallest up: size in pixels, bytes of the stored frame that they take; and display.

    `slope` and `intercept` lead from values to modality values, which `windows` ([center, width, function])
    are counted in; `curve`, in base64, are the grey levels of the first one at even steps where that is a
    table and no function. Without a window the smallest and largest value outside of `padding` (stored
    values) are black and white. `aspect`: height of a pixel over its width. `smooth`: whether values may be
    interpolated.
    """
    shown = frame.presentation
    slope, intercept = scaling_of(shown)
    curve = curve_of(shown)
    return {
        "levels": [
            {"columns": level.columns, "rows": level.rows, "coded": level.coded} for level in frame.levels
        ],
        "slope": slope,
        "intercept": intercept,
        "windows": [list(window) for window in windows_of(shown)[:_MOST_WINDOWS]],
        "curve": None if curve is None else b64encode(curve).decode(),
        "padding": None if shown.padding is None or shown.modality_lut else list(shown.padding),
        "inverse": shown.inverse,
        "aspect": shown.aspect,
        "smooth": not shown.index_values,
    }


def bytes_described(frame: LeveledFrame, number: int, made: Samples) -> dict[str, Any]:
    """`facts_of`, and what the bytes of level `number` are: size, samples a pixel, `type`, such as "i2".

    `type` is numpy's, little endian: u, i or f and the bytes of a sample.
    """
    return {
        "level": number,
        "columns": made.shape[1],
        "rows": made.shape[0],
        "samples": 1 if made.ndim == 2 else made.shape[2],
        "type": made.dtype.str[1:],
        **facts_of(frame),
    }
