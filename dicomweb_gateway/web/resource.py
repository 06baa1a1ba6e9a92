"""URL to ResourcePath: UIDs checked, frame list parsed, once (dicomweb.md C-5, F-1 to F-3)."""

import re
from dataclasses import dataclass

from dicomweb_gateway.dicom.uids import require_uid
from dicomweb_gateway.errors import InvalidRequest, PayloadTooLarge

MAX_FRAMES_PER_REQUEST = 1000
"""Frame numbers in one list (F-3)."""

_FRAME_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class ResourcePath:
    """What a URL names below the base path; `frames` are 1-based numbers in the order asked."""

    study_uid: str | None = None
    series_uid: str | None = None
    instance_uid: str | None = None
    frames: tuple[int, ...] = ()

    @property
    def path(self) -> str:
        """The path below the base path, without a leading slash and without frames."""
        steps = (("studies", self.study_uid), ("series", self.series_uid), ("instances", self.instance_uid))
        return "/".join(f"{name}/{uid}" for name, uid in steps if uid is not None)


def parse_path(
    study: str | None = None,
    series: str | None = None,
    instance: str | None = None,
    frames: str | None = None,
    max_frames: int = MAX_FRAMES_PER_REQUEST,
) -> ResourcePath:
    """The checked path; InvalidRequest names the part that is malformed."""
    return ResourcePath(
        study and require_uid(study, "Study Instance UID"),
        series and require_uid(series, "Series Instance UID"),
        instance and require_uid(instance, "SOP Instance UID"),
        () if frames is None else parse_frame_list(frames, max_frames),
    )


def parse_frame_list(text: str, max_frames: int = MAX_FRAMES_PER_REQUEST) -> tuple[int, ...]:
    """1-based frame numbers of a comma list in the order written (F-1).

    InvalidRequest for zero, a sign, anything but digits, an empty member or a duplicate (F-2);
    PayloadTooLarge for more than `max_frames` (F-3).
    """
    members = text.split(",")
    if len(members) > max_frames:
        raise PayloadTooLarge(
            f"at most {max_frames} frame{'s' if max_frames > 1 else ''} can be asked in one request"
        )
    for member in members:
        if not _FRAME_NUMBER.fullmatch(member.strip()) or int(member) == 0:
            raise InvalidRequest("the frame list must be numbers from 1 up, separated by commas")
    numbers = tuple(int(member) for member in members)
    if len(set(numbers)) != len(numbers):
        raise InvalidRequest("the frame list names a frame twice")
    return numbers


def study_in(path: str) -> str | None:
    """The study that `path`, below the base path, is of, as it is written; None where it names none."""
    steps = path.strip("/").split("/")
    return steps[1] if len(steps) > 1 and steps[0] == "studies" else None
