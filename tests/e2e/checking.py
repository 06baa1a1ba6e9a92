"""One file against what the gateway serves of it: metadata, frames, Part 10, rendered."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.pixels import pixel_array

from .compare import Comparison, only_part, part10_differences, read_part10, samples_sha256

OCTETS = "application/octet-stream"
ELE = "1.2.840.10008.1.2.1"
PART10 = 'multipart/related; type="application/dicom"; transfer-syntax={}'

Get = Callable[[str, str], tuple[int, bytes]]
"""(URL or path, Accept) to (status, body)."""


@dataclass
class Checker:
    """Checks instances and keeps count; `problems` are readable lines."""

    get: Get
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def metadata(self, name: str, dataset: Dataset, served: dict[str, Any], shared: set[str]) -> None:
        comparison = Comparison(lambda uri: self.get(uri, OCTETS)[1], shared, is_big_endian(dataset))
        self._note(name, "metadata", list(comparison.differences(dataset, served)))

    def frames(self, name: str, url: str, expected: dict[str, Any], bits_allocated: int) -> None:
        """First and last frame as ELE against EXPECTED.json: exact, or within its tolerance if lossy.

        Of three frames and more also the middle one, against what pydicom decodes where it can.
        """
        if expected["frames"] > 2 and expected["compare"] == "exact" and bits_allocated > 1:
            self._middle_frame(name, url, (expected["frames"] + 1) // 2)
        for which, number in (("first", 1), ("last", expected["frames"])):
            status, body = self.get(f"{url}/frames/{number}", OCTETS)
            if status != 200:
                self._note(name, "frame", [f"frame {number}: {status} {body[:200]!r}"])
                continue
            found = samples_sha256(body, expected["frame_shape"], bits_allocated)
            accepted = {expected[f"frame_{which}_sha256"], expected.get(f"stored_words_{which}_sha256")}
            if found in accepted:
                self._note(name, f"frame {expected['compare']}", [])
            elif expected["compare"] == "tolerance":
                self._note(name, "frame tolerance", self._far_off(name, body, expected, number))
            else:
                self._note(name, "frame exact", [f"{which} frame has another hash"])

    def _middle_frame(self, name: str, url: str, number: int) -> None:
        source = self.source(name)
        try:
            decoded = pixel_array(source, index=number - 1, raw=True)
        except (NotImplementedError, RuntimeError, AttributeError):
            # pydicom has no decoder for the coding here, or the file lacks its meta information
            self.counts["middle frame: not decoded by pydicom"] += 1
            return
        status, body = self.get(f"{url}/frames/{number}", OCTETS)
        fine = status == 200 and body == decoded.astype(decoded.dtype.newbyteorder("<")).tobytes()
        self._note(name, "middle frame", [] if fine else [f"{status}: frame {number} has other samples"])

    def instance(self, name: str, url: str, dataset: Dataset, decodable: bool = True) -> None:
        """The whole instance opens in pydicom with the same attributes, its pixels those of /frames.

        One that nothing decodes is 406 as ELE and still comes in its stored syntax.
        """
        self._stored(name, url, dataset)
        status, body = self.get(url, PART10.format(ELE))
        if not decodable:
            self._note(name, "undecodable instance", [] if status == 406 else [f"{status} {body[:200]!r}"])
            return
        if status != 200:
            self._note(name, "instance", [f"{status} {body[:200]!r}"])
            return
        served = read_part10(only_part(body))
        problems = list(part10_differences(dataset, served, is_big_endian(dataset)))
        if "PixelData" in served and int(served.get("BitsAllocated", 8)) > 1:
            problems += self._pixels_differ(url, served)
        self._note(name, "instance", problems)

    def _stored(self, name: str, url: str, dataset: Dataset) -> None:
        status, body = self.get(url, PART10.format("*"))
        stored = read_part10(only_part(body)) if status == 200 else None
        fine = stored is not None and stored.SOPInstanceUID == dataset.SOPInstanceUID
        self._note(name, "stored instance", [] if fine else [f"{status}"])

    def rendered(self, name: str, url: str, has_image: bool) -> None:
        status, body = self.get(f"{url}/rendered", "image/jpeg")
        fine = status == 200 and body.startswith(b"\xff\xd8") if has_image else status == 406
        self._note(
            name, "rendered" if has_image else "not rendered", [] if fine else [f"{status} {body[:100]!r}"]
        )

    def _pixels_differ(self, url: str, served: Dataset) -> list[str]:
        _, first = self.get(f"{url}/frames/1", OCTETS)
        frames = len(served.PixelData) // max(1, len(first))
        _, last = self.get(f"{url}/frames/{max(1, frames)}", OCTETS)
        length = len(first)
        if served.PixelData[:length] != first or served.PixelData[(frames - 1) * length :][:length] != last:
            return ["the frames of the whole instance are not what /frames gives"]
        if str(served.get("NumberOfFrames", 1) or 1).isdigit():
            pixel_array(served)
        return []

    def _far_off(self, name: str, body: bytes, expected: dict[str, Any], number: int) -> list[str]:
        """How far a lossy frame is from a decode by pydicom, when that is more than the tolerance."""
        if samples_sha256(body, expected["frame_shape"], 8) in _as_set(
            expected["accepted_first_frame_sha256"]
        ):
            return []
        decoded = pixel_array(self.source(name), index=number - 1, raw=True)
        found = np.frombuffer(body, expected["dtype"]).reshape(decoded.shape)
        off = np.abs(found.astype(int) - decoded.astype(int))
        limits = expected["tolerance"]
        if off.max() <= limits["suggested_max_abs_diff"] and off.mean() <= limits["suggested_mean_abs_diff"]:
            return []
        return [f"frame {number} is off by up to {off.max()}, {off.mean():.4f} on average"]

    folder: Path = Path()

    def source(self, name: str) -> Dataset:
        return dcmread(self.folder / name, force=True)

    def _note(self, name: str, what: str, problems: list[str]) -> None:
        self.counts[f"{what}: {'wrong' if problems else 'right'}"] += 1
        self.problems += [f"{name}: {what}: {problem}" for problem in problems]


def _as_set(value: Any) -> set[str]:
    return set(value) if isinstance(value, list) else {value}


def is_big_endian(dataset: Dataset) -> bool:
    return dataset.original_encoding[1] is False
