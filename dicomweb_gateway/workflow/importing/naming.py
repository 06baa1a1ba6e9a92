"""What files are called where they are staged, and back: people know them by their own paths only."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from dicomweb_gateway.dicom.found_files import printable
from dicomweb_gateway.workflow.importing.ledger import FileRow

_STAGED = re.compile(r"[^\s'\"]*/input/[0-9]{5}/([0-9]{6}\.dcm)")


def staged_name(row: FileRow) -> str:
    """The file's name in its batch's folder."""
    return f"{row.number:06d}.dcm"


def with_own_names(rows: Sequence[FileRow], files: Iterable[FileRow]) -> list[FileRow]:
    """`rows` whose reasons name other files of their batch, `files`, by the paths that these have here."""
    paths = {staged_name(one): printable(one.path) for one in files if one.number is not None}

    def own(found: re.Match[str]) -> str:
        return paths.get(found[1], found[0])

    return [replace(row, reason=row.reason and _STAGED.sub(own, row.reason)) for row in rows]
