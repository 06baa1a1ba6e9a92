"""AWS's viewer of levels (healthimaging.md 7.3): level 0, then each level alone, decoding in between.

It reads the number of decompositions from the header that level 0 brings, and decodes after each level what
it has so far.
"""

import numpy as np
import pytest

from dicomweb_gateway.dicom.codestream import parse_codestream
from dicomweb_gateway.dicom.jp2_boxes import unbox
from dicomweb_gateway.dicom.transfer_syntax import HTJ2K_LOSSLESS_RPCL
from dicomweb_gateway.errors import UndecodablePixels
from dicomweb_gateway.pixels.decoders import decode_frame
from dicomweb_gateway.pixels.encoders import box_jp2, drop_tlm, encode_htj2k, encode_j2k
from tests.pixels.test_decoders import described
from tests.routes.archive import OTHER, build, image

SERIES = f"{OTHER}.70"
SAMPLES = np.random.default_rng(7).integers(-2000, 2000, (515, 640), dtype=np.int16)
COLOUR = np.random.default_rng(8).integers(0, 256, (300, 257, 3), dtype=np.uint8)
FRAMES = {
    "bare": (SAMPLES, encode_htj2k(SAMPLES)),
    "bare, no TLM": (SAMPLES, drop_tlm(encode_htj2k(SAMPLES))),
    "boxed": (SAMPLES, box_jp2(encode_htj2k(SAMPLES))),
    "boxed, no TLM": (SAMPLES, box_jp2(drop_tlm(encode_htj2k(SAMPLES)))),
    "colour": (COLOUR, encode_htj2k(COLOUR)),
    "colour, boxed": (COLOUR, box_jp2(drop_tlm(encode_htj2k(COLOUR)))),
    "one tile-part": (SAMPLES, encode_j2k(SAMPLES)),
}


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    instances = [{"tags": image(samples), "frames": [frame]} for samples, frame in FRAMES.values()]
    return build(tmp_path_factory.mktemp("viewer"), more={SERIES: (instances, {})})


@pytest.fixture
def ask(house):
    """`ask(name, start, end)`: the bytes of some levels of a frame, as the viewer asks for them."""

    def levels(name, start, end):
        key = house.key(SERIES, list(FRAMES).index(name) + 1)
        answer = house.app.test_client().post(
            f"/datastore/{key.datastore_id}/imageSet/{key.image_set_id}/getImageFrame"
            f"?startLevel={start}&endLevel={end}",
            json={"imageFrameId": key.frame_id},
        )
        assert answer.status_code == 200
        assert int(answer.headers["Content-Length"]) == len(answer.get_data())
        return answer.get_data()

    return levels


@pytest.mark.parametrize("name", [name for name in FRAMES if name != "one tile-part"])
def test_every_prefix_decodes_to_that_resolution(ask, name):
    samples, frame = FRAMES[name]
    pixels = described(samples)
    have = ask(name, 0, 0)
    decompositions = parse_codestream(have).decompositions
    assert decompositions > 1
    for level in range(decompositions + 1):
        have += ask(name, level, level) if level else b""
        reduce = decompositions - level
        found = decode_frame(have, HTJ2K_LOSSLESS_RPCL, pixels, reduce=reduce)
        assert found.shape[:2] == tuple(-(-side // (1 << reduce)) for side in samples.shape[:2])
        assert np.array_equal(found, decode_frame(frame, HTJ2K_LOSSLESS_RPCL, pixels, reduce=reduce))
    assert have == frame
    assert np.array_equal(found, samples)
    assert ask(name, decompositions + 1, decompositions + 1) == b""


def test_a_single_tile_part_is_all_of_level_0(ask):
    frame = FRAMES["one tile-part"][1]
    assert ask("one tile-part", 0, 0) == frame
    assert ask("one tile-part", 1, 1) == b""


def test_a_prefix_alone_is_no_whole_codestream(ask):
    """What the last level adds counts: the comparison above would notice a frame that is not cut at all."""
    samples, _ = FRAMES["bare"]
    with pytest.raises(UndecodablePixels, match="cut short"):
        decode_frame(unbox(ask("bare", 0, 1)), HTJ2K_LOSSLESS_RPCL, described(samples))
