"""A JPEG stream is found whole once, a cut one never, and every way of decoding counts for itself."""

import imagecodecs
import numpy as np
import pytest

from dicomweb_gateway.errors import UndecodablePixels
from dicomweb_gateway.pixels.jpeg_header import read_jpeg_header
from dicomweb_gateway.pixels.jpeg_scans import read_jpeg_scans
from dicomweb_gateway.pixels.whole_jpegs import WholeJpegs

IMAGE = np.random.default_rng(1).integers(0, 256, (64, 48), np.uint8)
STREAM = imagecodecs.jpeg8_encode(IMAGE, level=90)


class Counting:
    """A decoder, and how often it ran."""

    def __init__(self):
        self.runs = 0

    def __call__(self, data):
        self.runs += 1
        return imagecodecs.jpeg8_decode(data)


def decoded(known, decoder, data=STREAM, way="turbo"):
    header = read_jpeg_header(data)
    return known.decode(decoder, way, data, header, read_jpeg_scans(data, header))


def test_what_was_found_whole_is_decoded_once_from_then_on():
    known, decoder = WholeJpegs(), Counting()
    first = decoded(known, decoder)
    assert decoder.runs == 2
    assert np.array_equal(decoded(known, decoder), first)
    assert decoder.runs == 3


def test_another_way_of_decoding_is_asked_for_itself():
    known, decoder = WholeJpegs(), Counting()
    decoded(known, decoder)
    decoded(known, decoder, way="other")
    assert decoder.runs == 4


@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_a_cut_stream_is_refused_each_time_even_after_the_whole_one(kept):
    known, decoder = WholeJpegs(), Counting()
    decoded(known, decoder)
    cut = STREAM[: int(len(STREAM) * kept)] + b"\xff\xd9"
    for _ in range(2):
        with pytest.raises(UndecodablePixels, match="cut short"):
            decoded(known, decoder, cut)


def test_the_one_that_was_asked_longest_ago_is_forgotten():
    known, decoder = WholeJpegs(capacity=2), Counting()
    streams = [imagecodecs.jpeg8_encode(IMAGE, level=level) for level in (50, 60, 70)]
    for stream in (streams[0], streams[1], streams[0], streams[2]):
        decoded(known, decoder, stream)
    runs = decoder.runs
    decoded(known, decoder, streams[0])
    assert decoder.runs == runs + 1
    decoded(known, decoder, streams[1])
    assert decoder.runs == runs + 3
