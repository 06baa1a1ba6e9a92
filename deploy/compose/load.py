"""Import a folder into the emulator of docker-compose.yml: load.py DICOM_FOLDER WORK_FOLDER.

WORK_FOLDER is shared with the emulator. A made CT series stands in where DICOM_FOLDER holds no file.
"""

import os
import sys
import time
from pathlib import Path

from dicomweb_gateway.imagesets.import_jobs import ImportJobs
from dicomweb_gateway.workflow.samples import write_synthetic_series

ROLE = "arn:aws:iam::000000000000:role/import"


def main(given: Path, work: Path) -> int:
    """Run one import job to its end; 0 when it completed."""
    source = given
    if not any(path.is_file() and not path.name.startswith(".") for path in given.rglob("*")):
        source = work / "samples"
        write_synthetic_series(source)
    jobs = ImportJobs(os.environ["AHI_ENDPOINT"], os.environ["AHI_REGION"])
    store = jobs.ensure_data_store("compose")
    logs = work / "import-logs"
    job = jobs.start(store, f"{source.as_uri()}/", f"{logs.as_uri()}/", ROLE, f"compose-{time.time_ns()}")
    while not job.has_ended:
        time.sleep(0.5)
        job = jobs.look(job)
    print(f"import job {job.job_id}: {job.status}", flush=True)
    return 0 if job.status == "COMPLETED" else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
