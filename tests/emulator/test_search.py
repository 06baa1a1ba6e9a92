"""Search criteria of every wrong kind are refused with a reason, never a crash (healthimaging.md 4.6)."""

import pytest

from dicomweb_gateway.emulator.errors import InvalidRequest
from dicomweb_gateway.emulator.search import parse_search


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"sort": {"sortField": []}}, "sortField"),
        ({"sort": {"sortField": {}}}, "sortField"),
        ({"sort": {"sortField": "imageSetId"}}, "sortField"),
        ({"sort": {"sortOrder": []}}, "sortOrder"),
        ({"sort": "updatedAt"}, "sort"),
        ({"filters": [[]]}, "filter"),
        ({"filters": [{"operator": "EQUAL", "values": [{"DICOMPatientId": []}]}]}, "DICOMPatientId"),
        ([], "searchCriteria"),
    ],
)
def test_criteria_of_the_wrong_kind_are_refused(body, named):
    with pytest.raises(InvalidRequest, match=named):
        parse_search(body)
