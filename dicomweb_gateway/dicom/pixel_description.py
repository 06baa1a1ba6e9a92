"""What the Image Pixel module says of one instance's frames (PS3.3 C.7.6.3), as one frozen value."""

from dataclasses import dataclass
from math import prod

PIXEL_DATA = "PixelData"
FLOAT_PIXEL_DATA = "FloatPixelData"
DOUBLE_FLOAT_PIXEL_DATA = "DoubleFloatPixelData"


@dataclass(frozen=True, slots=True)
class PixelDescription:
    """Layout of an instance's frames; pixel values are described as they are stored, before any LUT.

    `keyword` is the element that holds the pixels: PixelData, FloatPixelData or DoubleFloatPixelData.
    `bits_stored`, `high_bit` and `pixel_representation` mean nothing for the float forms.
    """

    rows: int
    columns: int
    samples_per_pixel: int = 1
    bits_allocated: int = 16
    bits_stored: int = 16
    high_bit: int = 15
    pixel_representation: int = 0
    photometric_interpretation: str = "MONOCHROME2"
    planar_configuration: int = 0
    number_of_frames: int = 1
    keyword: str = PIXEL_DATA

    @property
    def frame_bits(self) -> int:
        """Bits of one native frame without any padding.

        YBR_FULL_422 native data has two samples a pixel on average (PS3.3 C.7.6.3.1.2), but every frame
        that we decode or send as ELE is full resolution, so it counts three.
        """
        return prod((self.rows, self.columns, self.samples_per_pixel, self.bits_allocated))

    @property
    def frame_length(self) -> int:
        """Bytes of one native frame on its own: whole bytes, no pad byte (dicomweb.md F-5)."""
        return (self.frame_bits + 7) // 8

    @property
    def is_packed(self) -> bool:
        """Whether pixels are single bits, packed eight to a byte (PS3.5 8.1.1)."""
        return self.bits_allocated == 1

    @property
    def is_float(self) -> bool:
        """Whether pixels are IEEE 754 floats (PS3.3 C.7.6.24, C.7.6.25)."""
        return self.keyword != PIXEL_DATA

    @property
    def dtype(self) -> str:
        """numpy dtype of decoded samples, little endian: '|u1', '<i2', '<f4' ...; 1-bit unpacks to '|u1'."""
        size = max(1, self.bits_allocated // 8)
        kind = "f" if self.is_float else ("i" if self.pixel_representation else "u")
        return f"{'<' if size > 1 else '|'}{kind}{size}"

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """(rows, columns), or (rows, columns, samples) when there is more than one sample a pixel."""
        shape = (self.rows, self.columns)
        return shape if self.samples_per_pixel == 1 else (*shape, self.samples_per_pixel)
