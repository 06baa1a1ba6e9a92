"""A search as one call on an engine."""

from sqlalchemy import Engine

from dicomweb_gateway.index.index_search import IndexSearch
from dicomweb_gateway.index.search import SearchResult
from dicomweb_gateway.qido.expression import QidoQuery


def search(engine: Engine, query: QidoQuery) -> SearchResult:
    return IndexSearch(engine)(query)
