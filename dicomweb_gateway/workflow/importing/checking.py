"""Checks a file before it is uploaded, by what STOW-RS asks of a part (stow/checking.py)."""

import os
from os import PathLike
from pathlib import Path

from dicomweb_gateway.dicom.file_content import LARGEST_FILE
from dicomweb_gateway.dicom.spool_space import SpoolSpace
from dicomweb_gateway.errors import NotDicom, UnreadableDicom
from dicomweb_gateway.stow.checking import Instance, RefusedPart, check_part


def check_file(path: str | PathLike[str], space: SpoolSpace) -> Instance:
    """Which instance a file holds, its pixel data not read, only measured.

    Raises NotDicom for a file of another kind, UnreadableDicom with the reason for one that is refused or
    cannot be read, StorageUnavailable where `space` does not take what it unpacks to.
    """
    try:
        with Path(path).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > LARGEST_FILE:
                raise UnreadableDicom("the file is larger than the 4 GB that HealthImaging takes")
            return check_part(file, size, None, space).kept
    except RefusedPart as refused:
        if isinstance(refused.__cause__, NotDicom):
            raise NotDicom(refused.reason) from refused
        raise UnreadableDicom(refused.reason) from refused
    except OSError as error:
        raise UnreadableDicom(f"the file cannot be read: {error.strerror or error}") from error
