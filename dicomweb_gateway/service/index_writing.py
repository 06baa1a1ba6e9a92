"""Settings to the index as those see it who fill it."""

from dicomweb_gateway.index.writer import IndexWriter
from dicomweb_gateway.settings import Settings


def make_index_writer(settings: Settings) -> IndexWriter:
    """The writer; no connection is made yet."""
    return IndexWriter(settings.index_url, settings.zone)
