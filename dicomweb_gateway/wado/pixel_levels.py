"""Decoded pixels of single resolution levels of a frame (R-12), for clients that show them by themselves."""

from dataclasses import dataclass
from functools import cached_property

from dicomweb_gateway.errors import CorruptFrame, UndecodablePixels
from dicomweb_gateway.imagesets.store import WantedFrame
from dicomweb_gateway.pixels.decoders import decode_frame, decoded_photometric, reductions_of
from dicomweb_gateway.pixels.optionals import Samples
from dicomweb_gateway.pixels.presentation import Presentation
from dicomweb_gateway.pixels.resize import may_be_reduced
from dicomweb_gateway.pixels.unwindowed import unwindowed
from dicomweb_gateway.wado.archive import Archive
from dicomweb_gateway.wado.frames import stored_frames, wanted_frames
from dicomweb_gateway.wado.rendered import Picture


@dataclass(frozen=True, slots=True)
class PixelLevel:
    """The frame at `columns` x `rows` pixels; the first `coded` bytes of the stored frame hold it."""

    columns: int
    rows: int
    coded: int


@dataclass(frozen=True)
class LeveledFrame:
    """A stored frame at hand (`data`), and how to show it."""

    archive: Archive
    picture: Picture
    wanted: WantedFrame
    data: bytes
    bounds: tuple[int, ...]
    presentation: Presentation

    @cached_property
    def levels(self) -> tuple[PixelLevel, ...]:
        """From the smallest to the full size; one alone where the coding has no smaller ones.

        A coarse level whose bytes do not stand by themselves needs all of the frame.
        """
        pixels = self.picture.pixels
        most = self._reductions()
        by_level = len(self.bounds) == most + 2
        return tuple(
            PixelLevel(
                -(-pixels.columns >> most - number),
                -(-pixels.rows >> most - number),
                self.bounds[number + 1] if by_level else len(self.data),
            )
            for number in range(most + 1)
        )

    def _reductions(self) -> int:
        if not may_be_reduced(self.picture.pixels, index_values=self.presentation.index_values):
            return 0
        return reductions_of(self.data, self.picture.record.transfer_syntax_uid)

    def pixels_of(self, number: int) -> Samples:
        """The pixels of level `number` (0-based), see `unwindowed`; raises as `decode_frame` and turns do."""
        level, pixels = self.levels[number], self.picture.pixels
        syntax = self.picture.record.transfer_syntax_uid
        with self.archive.turns.turn():
            samples = decode_frame(
                self.data[: level.coded], syntax, pixels, reduce=len(self.levels) - 1 - number
            )
            made = unwindowed(samples, pixels, decoded_photometric(syntax, pixels), self.presentation)
        if made.shape[:2] != (level.rows, level.columns):
            raise UndecodablePixels(f"level {number} came out as {made.shape}")
        return made


def leveled_frame(picture: Picture, frame_number: int) -> LeveledFrame:
    """Frame `frame_number` (1-based), fetched; raises as `wanted_frames`, `stored_frames`, `version_of`."""
    archive, record = picture.archive, picture.record
    wanted = wanted_frames(record, [frame_number])[0]
    presentation = picture.presentation(frame_number)
    stored = next(stored_frames(archive, record, [wanted]))
    try:
        bounds = tuple(archive.levels.of(wanted.key, stored))
    except CorruptFrame:
        bounds = ()
    return LeveledFrame(archive, picture, wanted, stored.read(), bounds, presentation)
