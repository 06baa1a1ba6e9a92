"""DICOM to look at without any of one's own: pydicom's bundled files and synthetic series."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from dicomweb_gateway.workflow.made_series import CINE_FRAMES, ROOT, write_cine, write_ct, write_mr

SLICES = 60
_SIZE = 256
_DEFAULT = ("ct", "pydicom")


@dataclass(frozen=True, slots=True)
class SampleSet:
    """What people choose; `write` fills a folder with `files` files, None: the files are there already."""

    title: str
    files: int = 0
    write: Callable[[Path], None] | None = None


def write_synthetic_series(folder: Path, slices: int = SLICES, size: int = _SIZE, root: str = ROOT) -> None:
    """An axial CT series, see `made_series.write_ct`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_ct(folder, slices, size, root)


SAMPLE_SETS: Mapping[str, SampleSet] = {
    "ct-small": SampleSet(
        "CT of a chest (2 images)", 2, partial(write_ct, slices=2, size=512, root=f"{ROOT}.10")
    ),
    "ct": SampleSet(f"CT of a chest ({SLICES} images)", SLICES, write_synthetic_series),
    "ct-large": SampleSet(
        "CT of a chest (300 images of 512 x 512)",
        300,
        partial(write_ct, slices=300, size=512, root=f"{ROOT}.11"),
    ),
    "mr": SampleSet(
        "MR of a head, T1 and T2 (48 images)", 48, partial(write_mr, slices=24, size=256, root=f"{ROOT}.12")
    ),
    "colour-cine": SampleSet(
        f"ultrasound of a heart in colour (1 image of {CINE_FRAMES} frames)",
        1,
        partial(write_cine, frames=CINE_FRAMES, root=f"{ROOT}.13"),
    ),
    "pydicom": SampleSet("the files that pydicom brings along, broken ones too"),
}
"""By the names that options take."""


def sample_folders(folder: Path, names: Sequence[str] = ()) -> list[Path]:
    """Folders to import; what is made is written below `folder` when it is not there yet."""
    found: list[Path] = []
    for name in names or _DEFAULT:
        chosen = SAMPLE_SETS[name]
        if chosen.write is None:
            found += _bundled()
            continue
        # the name that the first one had before there were others
        made = folder / ("synthetic-ct" if name == "ct" else name)
        if len(list(made.glob("*.dcm"))) < chosen.files:
            chosen.write(made)
        found.append(made)
    return found


def _bundled() -> list[Path]:
    spec = find_spec("pydicom")
    bundled = Path(spec.origin).parent / "data" if spec and spec.origin else None
    names = ("test_files", "charset_files")
    return [bundled / name for name in names if bundled and (bundled / name).is_dir()]
