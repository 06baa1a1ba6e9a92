"""Animated GIF (R-3): read back by Pillow, timed by the attributes of PS3.3 C.7.6.5."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset

from dicomweb_gateway.pixels.animation import animate, frame_durations

GREY = (np.add.outer(np.arange(60), np.arange(80)) % 256).astype("u1")


def test_frames_are_exact_and_timed():
    frames = [GREY, GREY[::-1] // 2, GREY[:, ::-1], np.zeros_like(GREY)]
    found = Image.open(BytesIO(b"".join(animate(frames, [40, 100, 250, 20]))))
    assert (found.format, found.n_frames, found.info["loop"], found.size) == ("GIF", 4, 0, (80, 60))
    for number, (frame, duration) in enumerate(zip(frames, [40, 100, 250, 20], strict=True)):
        found.seek(number)
        assert found.info["duration"] == duration
        assert np.array_equal(np.asarray(found.convert("L")), frame)


def test_colour():
    red, blue = np.zeros((2, 20, 30, 3), "u1")
    red[..., 0] = blue[..., 2] = 255
    found = Image.open(BytesIO(b"".join(animate([red, blue], [50, 50]))))
    for number, frame in enumerate([red, blue]):
        found.seek(number)
        assert np.array_equal(np.asarray(found.convert("RGB")), frame)


def test_frames_are_asked_for_one_by_one():
    asked = []

    def images():
        for number in range(1000):
            asked.append(number)
            yield GREY

    pieces = animate(images(), [40] * 1000)
    assert next(pieces).startswith(b"GIF89a")
    assert len(asked) == 1


def test_nothing_is_nothing():
    assert not list(animate([], []))


@pytest.mark.parametrize(
    ("attributes", "durations"),
    [
        ({}, [100, 100, 100]),
        ({"RecommendedDisplayFrameRate": 25, "FrameTime": 50}, [40, 40, 40]),
        ({"CineRate": "20"}, [50, 50, 50]),
        ({"FrameTime": "33.3"}, [33.3, 33.3, 33.3]),
        ({"FrameTimeVector": ["0", "30", "60"]}, [30, 60, 60]),
        ({"FrameTimeVector": ["0", "30", "60", "90", "120"]}, [30, 60, 90]),
        ({"FrameTimeVector": ["0"]}, [100, 100, 100]),
        ({"FrameTime": "0", "CineRate": "0"}, [100, 100, 100]),
        ({"FrameTime": "0.001"}, [20, 20, 20]),
        ({"FrameTime": "1e300"}, [10000, 10000, 10000]),
        ({"CineRate": 1000000000}, [20, 20, 20]),
    ],
)
def test_durations(attributes, durations):
    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    assert frame_durations(dataset, 3) == durations


def test_odd_times_count_as_absent():
    dataset = Dataset()
    for keyword, text in (("FrameTime", "soon"), ("CineRate", "nan"), ("FrameTimeVector", r"0\x\40")):
        dataset.add_new(keyword, "LO", text)
    assert frame_durations(dataset, 2) == [100, 40]
