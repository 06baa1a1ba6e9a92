"""UIDs in paths (dicomweb.md C-5)."""

import pytest

from dicomweb_gateway.dicom.uids import is_valid_uid, require_uid
from dicomweb_gateway.errors import InvalidRequest


@pytest.mark.parametrize(
    "uid", ["1", "1.2.840.10008.1.2.1", "2.25.329800735698586629295641978511506172918", "1." + "2" * 62]
)
def test_valid_uids_pass(uid):
    assert require_uid(uid, "study") == uid


@pytest.mark.parametrize("uid", ["1.02.3", "0.0.0"])
def test_files_with_leading_zeros_stay_reachable(uid):
    assert is_valid_uid(uid)


@pytest.mark.parametrize(
    "uid",
    [
        "",
        ".",
        "1..2",
        ".1.2",
        "1.2.",
        "1.2a",
        "1.2 ",
        "1,2",
        "1.2\n",
        "1.²",
        "1.٣",
        "../1",
        "1." + "2" * 63,
        "-1.2",
        "%31",
    ],
)
def test_malformed_uids_are_refused_by_name(uid):
    with pytest.raises(InvalidRequest, match="Study Instance UID"):
        require_uid(uid, "Study Instance UID")
