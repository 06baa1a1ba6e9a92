"""A link that opens Weasis with images of the gateway: launch_link.py BASE_URL KEY=VALUE... [--header TEXT]

Keys are Weasis's own: patientID, studyUID, accessionNumber, seriesUID, objectUID.
"""

import argparse
from collections.abc import Sequence
from urllib.parse import quote

KEYS = ("patientID", "studyUID", "accessionNumber", "seriesUID", "objectUID")


def launch_link(base: str, wanted: Sequence[str], headers: Sequence[str] = ()) -> str:
    """The weasis:// address; ValueError for a key that Weasis does not know, or for a quotation mark."""
    if any(one.partition("=")[0] not in KEYS for one in wanted):
        raise ValueError(f"keys are {', '.join(KEYS)}")
    if any('"' in text for text in (base, *wanted, *headers)):
        raise ValueError("a quotation mark would end the command's argument")
    words = ["$dicom:rs", f'--url "{base}"', *(f'-r "{one}"' for one in wanted)]
    words += [f'-H "{header}"' for header in headers]
    return "weasis://" + quote(" ".join(words), safe="")


def main() -> None:
    """Print the link."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", help="such as https://pacs.example.org/aetitle")
    parser.add_argument("wanted", nargs="+", metavar="KEY=VALUE")
    parser.add_argument("--header", action="append", default=[], help="such as 'Authorization: Bearer ...'")
    given = parser.parse_args()
    try:
        print(launch_link(given.base, given.wanted, given.header))
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
