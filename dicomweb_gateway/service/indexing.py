"""Settings to what fills the index."""

from dicomweb_gateway.imagesets.healthimaging import HealthImaging
from dicomweb_gateway.index.writer import IndexWriter
from dicomweb_gateway.service.index_writing import make_index_writer
from dicomweb_gateway.service.master import upgrade_index
from dicomweb_gateway.service.upstream import make_image_set_store
from dicomweb_gateway.settings import Settings
from dicomweb_gateway.workflow.sync import METADATA_PER_SECOND, WORKERS, Synchroniser


def make_synchroniser(
    settings: Settings, workers: int = WORKERS
) -> tuple[IndexWriter, HealthImaging, Synchroniser]:
    """Writer, HealthImaging and synchroniser; the index's schema is seen to first."""
    upgrade_index(settings)
    store = make_image_set_store(settings)
    writer = make_index_writer(settings)
    # an emulator of one's own has no rates to keep
    per_second = METADATA_PER_SECOND if settings.ahi_endpoint is None else None
    return writer, store, Synchroniser(writer, store, workers, per_second, settings.allowed_datastores)
