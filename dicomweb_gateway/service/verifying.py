"""Settings and what was asked for to a verification that can be run."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from dicomweb_gateway.dicom.uids import is_valid_uid
from dicomweb_gateway.errors import ImportTrouble, SettingsError
from dicomweb_gateway.imagesets.data_stores import DataStores
from dicomweb_gateway.imagesets.import_jobs import ImportJob, ImportJobs
from dicomweb_gateway.imagesets.store import ImageSetRef
from dicomweb_gateway.service.importing import make_buckets, only_data_store
from dicomweb_gateway.service.upstream import fetcher_config, make_image_set_store
from dicomweb_gateway.settings import Settings
from dicomweb_gateway.workflow.importing.job_logs import read_logs
from dicomweb_gateway.workflow.importing.staging import JobOutput
from dicomweb_gateway.workflow.steps import Listener, silent
from dicomweb_gateway.workflow.verifying.checker import CheckerConfig
from dicomweb_gateway.workflow.verifying.run import VerifyReport, verify
from dicomweb_gateway.workflow.verifying.work import Form, Wanted

JOURNAL = "verify.journal"


def run_verify(
    settings: Settings,
    datastore_id: str | None,
    *,
    study_uid: str | None = None,
    series_uid: str | None = None,
    image_set_ids: tuple[str, ...] = (),
    job_id: str | None = None,
    folder: Path | None = None,
    form: Form = "jph",
    processes: int | None = None,
    listener: Listener = silent,
) -> VerifyReport:
    """Verify what is named, or everything; into `folder` when one is given.

    SettingsError for no UID, ImportTrouble for a study or series that is not there.
    """
    for name, uid in (("--study", study_uid), ("--series", series_uid)):
        if uid is not None and not is_valid_uid(uid):
            raise SettingsError(f"{name}: {uid!r} is no UID")
    stores: tuple[str, ...] = () if datastore_id is None else (datastore_id,)
    if not (stores or image_set_ids or job_id):
        stores = settings.ahi_datastore_ids
    stores = stores or (only_data_store(settings),)
    store = make_image_set_store(settings)
    fetching = replace(fetcher_config(settings, 0), decoders=1)
    config = CheckerConfig(fetching, folder, form if folder is not None else None)
    try:
        found = verify(
            store.metadata,
            _refs(settings, stores, study_uid, series_uid, image_set_ids, job_id),
            config,
            settings.cores if processes is None else processes,
            Wanted(study_uid, series_uid),
            folder / JOURNAL if folder is not None else None,
            listener,
        )
        if (study_uid or series_uid) and not found.image_sets:
            raise ImportTrouble(
                f"no image set of {study_uid or series_uid} is in data store {', '.join(stores)}"
            )
        return found
    finally:
        store.close()


def _refs(
    settings: Settings,
    stores: tuple[str, ...],
    study_uid: str | None,
    series_uid: str | None,
    image_set_ids: tuple[str, ...],
    job_id: str | None,
) -> Iterator[ImageSetRef]:
    if job_id is not None:
        image_set_ids = job_image_sets(settings, stores[0], job_id)
    if image_set_ids or job_id is not None:
        yield from (ImageSetRef(stores[0], one) for one in image_set_ids)
        return
    equal = {"DICOMSeriesInstanceUID": series_uid} if series_uid else {}
    if study_uid and not series_uid:
        equal = {"DICOMStudyInstanceUID": study_uid}
    found = DataStores(settings.ahi_endpoint, settings.ahi_region)
    try:
        for datastore_id in stores:
            for one in found.image_set_ids(datastore_id, **equal):
                yield ImageSetRef(datastore_id, one)
    finally:
        found.close()


def job_image_sets(settings: Settings, datastore_id: str, job_id: str) -> tuple[str, ...]:
    """The image sets that an import job made or changed, as its manifest has them (3.6)."""
    jobs = ImportJobs(settings.ahi_endpoint, settings.ahi_region)
    buckets = make_buckets(settings)
    try:
        job = jobs.look(ImportJob(datastore_id, job_id, "", ""))
        logs = read_logs(partial(JobOutput(buckets).read, job.output_uri))
    finally:
        jobs.close()
        if buckets is not None:
            buckets.close()
    return tuple(one for one, _ in logs.image_sets)
