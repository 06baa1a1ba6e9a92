"""Settings to an import that can be run: the only place that knows all its parts."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from dicomweb_gateway.aws.buckets import Buckets
from dicomweb_gateway.aws.session import is_loopback
from dicomweb_gateway.dicom.spool_space import SpoolSpace
from dicomweb_gateway.errors import SettingsError
from dicomweb_gateway.imagesets.data_stores import ACTIVE, DataStores
from dicomweb_gateway.imagesets.import_jobs import ImportJobs
from dicomweb_gateway.service.server_limits import MIN_FREE_BYTES
from dicomweb_gateway.settings import Settings
from dicomweb_gateway.workflow.importing.config import ImportConfig
from dicomweb_gateway.workflow.importing.ledger import Ledger
from dicomweb_gateway.workflow.importing.run import ImportRun
from dicomweb_gateway.workflow.importing.staging import BucketStaging, FolderStaging, JobOutput, Staging
from dicomweb_gateway.workflow.steps import Listener

ROLE_OF_AN_EMULATOR = "arn:aws:iam::123456789012:role/import"
_EMULATOR_POLL = 0.5
_POLL = 2.0


@dataclass(frozen=True, slots=True)
class MadeImport:
    """An importer, its ledger, and the folder that both lie in."""

    importer: ImportRun
    ledger: Ledger
    folder: Path


@contextmanager
def make_import(
    settings: Settings,
    datastore_id: str | None,
    workers: int,
    again: bool,
    delete_staged: bool,
    wait: float | None,
    index: bool,
    listener: Listener,
) -> Iterator[MadeImport]:
    """An import as the settings say; SettingsError with what is missing for it."""
    with ExitStack() as stack:
        buckets = make_buckets(settings, workers)
        if buckets is not None:
            stack.callback(buckets.close)
        folder = settings.data_dir / "imports"
        staging = make_staging(settings, buckets, folder)
        config = ImportConfig(
            datastore_id=_allowed(settings, datastore_id) or only_data_store(settings),
            role_arn=_role(settings),
            workers=workers,
            again=again,
            # links cost nothing, but are of no use to anybody
            delete_staged=delete_staged or isinstance(staging, FolderStaging),
            poll=_EMULATOR_POLL if settings.ahi_endpoint else _POLL,
            wait_seconds=wait,
            space=SpoolSpace(settings.spool_folder, MIN_FREE_BYTES),
        )
        ledger = Ledger(folder / "ledger.sqlite")
        stack.callback(ledger.close)
        jobs = ImportJobs(settings.ahi_endpoint, settings.ahi_region)
        stack.callback(jobs.close)
        indexing = None
        if index:
            # SQL is of no use to those who only verify
            from dicomweb_gateway.service.indexing import make_synchroniser
            from dicomweb_gateway.workflow.indexing import Indexing

            writer, store, synchroniser = make_synchroniser(settings)
            stack.callback(writer.close)
            stack.callback(store.close)
            indexing = Indexing(writer, synchroniser)
        run = ImportRun(ledger, staging, JobOutput(buckets), jobs, config, folder, indexing, listener)
        yield MadeImport(run, ledger, folder)


def make_buckets(settings: Settings, connections: int = 16) -> Buckets | None:
    """S3 as the settings say; None where nothing is to be found there."""
    if settings.import_bucket is None and settings.ahi_endpoint is not None:
        return None
    return Buckets(settings.s3_endpoint, settings.ahi_region, connections, settings.import_kms_key_arn)


def make_staging(settings: Settings, buckets: Buckets | None, folder: Path) -> Staging:
    """IMPORT_BUCKET or, for an emulator on this machine, links below `folder`."""
    if settings.import_bucket is not None and buckets is not None:
        return BucketStaging(
            buckets, settings.import_bucket, settings.import_prefix, settings.import_output_bucket
        )
    if not is_loopback(settings.ahi_endpoint):
        raise SettingsError("IMPORT_BUCKET: HealthImaging imports from S3; name the bucket for the files")
    return FolderStaging(folder)


def only_data_store(settings: Settings) -> str:
    """The data store that is meant where none is named; SettingsError where that is not clear."""
    named = settings.ahi_datastore_ids
    if len(named) == 1:
        return named[0]
    if not named:
        stores = DataStores(settings.ahi_endpoint, settings.ahi_region)
        try:
            named = tuple(one.datastore_id for one in stores.all(ACTIVE))
            if not named and settings.ahi_endpoint is not None:
                return stores.create("import").datastore_id
        finally:
            stores.close()
    if len(named) == 1:
        return named[0]
    many = f"there are {len(named)}" if named else "there is none"
    raise SettingsError(f"AHI_DATASTORE_IDS: {many}; say --datastore ID (`datastores list` shows them)")


def _allowed(settings: Settings, datastore_id: str | None) -> str | None:
    """The data store that is named; what is not served is not indexed."""
    allowed = settings.allowed_datastores
    if datastore_id is not None and allowed is not None and datastore_id not in allowed:
        raise SettingsError(f"AHI_DATASTORE_IDS: data store {datastore_id} is not among them")
    return datastore_id


def _role(settings: Settings) -> str:
    if settings.import_role_arn is not None:
        return settings.import_role_arn
    if settings.ahi_endpoint is None:
        raise SettingsError("IMPORT_ROLE_ARN: HealthImaging needs a role to read the bucket as")
    return ROLE_OF_AN_EMULATOR
