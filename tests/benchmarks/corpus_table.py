"""Every corpus file through the whole path, one row each: what comes out against what went in.

Run by hand: `python -m tests.benchmarks.corpus_table [--only PART-OF-PATH]`. Each file gets a data store and
an index of its own. Columns: metadata equal to pydicom's reading; Part 10 equal in every attribute, pixels
those of /frames; frames by hash; each lossless syntax on request; the picture against pydicom's functions,
largest difference in grey levels. `-` does not apply, `406` is refused with a reason.
"""

import argparse
import tempfile
import warnings
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.conftest import corpus_folder
from tests.e2e.alone import client_for, import_alone, running_emulator, running_fetcher
from tests.e2e.checking import Checker
from tests.e2e.compare import load_json
from tests.e2e.forms import LOSSLESS, form_problem
from tests.pixels.reference import reference_image
from tests.pixels.samples_of_files import open_file

COLUMNS = ["metadata", "instance", "frames", *LOSSLESS.values(), "rendered"]


def main() -> None:
    """Print the table, the totals and every exception."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="part of the path")
    only = parser.parse_args().only
    corpus = corpus_folder()
    expected = {entry["path"]: entry for entry in load_json(corpus / "EXPECTED.json")["entries"]}
    entries = [
        e
        for e in load_json(corpus / "MANIFEST.json")["entries"]
        if e["kind"] == "dicom" and only in e["path"]
    ]
    totals: Counter[str] = Counter()
    notes: list[str] = []
    print("file", *COLUMNS, sep="\t")
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        (folder / "cache").mkdir()
        with running_emulator(folder / "emulator") as url, running_fetcher(url, folder / "cache") as fetcher:
            for number, entry in enumerate(entries):
                row = _row(
                    corpus, entry, expected.get(entry["path"]), url, fetcher, folder / str(number), notes
                )
                print(entry["path"], *(row.get(column, "-") for column in COLUMNS), sep="\t", flush=True)
                totals.update(f"{column}: {_kind(value)}" for column, value in row.items())
    print("\ntotals")
    for what, count in sorted(totals.items()):
        print(f"  {what}: {count}")
    print("\nexceptions", *notes, sep="\n  ")


def _kind(value: str) -> str:
    return "within 1" if value.replace(".", "").isdigit() and value != "406" and float(value) <= 1 else value


def _row(
    corpus: Path,
    entry: dict[str, Any],
    expected: dict[str, Any] | None,
    emulator: str,
    fetcher: tuple[str, Path],
    folder: Path,
    notes: list[str],
) -> dict[str, str]:
    name = entry["path"]
    datastore_id, refused = import_alone(emulator, corpus / name, folder)
    if refused:
        notes.append(f"{name}: not imported: {refused[0]}")
        return {"metadata": "refused"}
    client = client_for(emulator, fetcher, datastore_id, folder)

    def get(url: str, accept: str) -> tuple[int, bytes]:
        answer = client.get(url, headers={"Accept": accept})
        return answer.status_code, answer.data

    (found,) = client.get("/aetitle/instances").get_json()
    url = found["00081190"]["Value"][0]
    served = client.get(url + "/metadata").get_json()[0]
    check = Checker(get, folder=corpus)
    source = check.source(name)
    row = {"metadata": _told(check, lambda: check.metadata(name, source, served, set()), notes)}
    row["instance"] = _told(check, lambda: check.instance(name, url, source), notes)
    if expected is not None:
        row["frames"] = _told(
            check, lambda: check.frames(name, url, expected, entry["bits_allocated"]), notes
        )
        for uid, form in LOSSLESS.items():
            problem = form_problem(get, url, uid)
            row[form] = "406" if problem == "" else ("exact" if problem is None else "WRONG")
            notes += [f"{name}: {form}: {problem}"] if problem else []
    row["rendered"] = _rendered(corpus, name, get, url, expected, notes)
    return row


def _told(check: Checker, run: Any, notes: list[str]) -> str:
    before = len(check.problems)
    run()
    notes += check.problems[before:]
    return "equal" if len(check.problems) == before else "WRONG"


def _rendered(
    corpus: Path, name: str, get: Any, url: str, expected: dict[str, Any] | None, notes: list[str]
) -> str:
    status, body = get(f"{url}/frames/1/rendered", "image/png")
    if status != 200:
        if expected is not None:
            notes.append(f"{name}: rendered: {status} {body[:150]!r}")
        return str(status)
    try:
        dataset, uid, _ = open_file(corpus / name)
        off = np.abs(reference_image(dataset, uid, 0) - np.asarray(Image.open(BytesIO(body)), float))
    except Exception as error:
        notes.append(f"{name}: rendered, but the reference gives none: {type(error).__name__}: {error}")
        return "no reference"
    if off.max() > 1:
        notes.append(f"{name}: rendered: off by up to {off.max():.1f}")
    return f"{off.max():.2f}"


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main()
