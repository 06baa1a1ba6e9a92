"""What the configured user may do with the index."""

from sqlalchemy import delete, false
from sqlalchemy.exc import DBAPIError

from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.engine import index_errors, lacks_table, make_engine


def may_write(url: str) -> bool | None:
    """Whether the user of `url` may change the index; None where it has none of our tables.

    Asked by removing no rows, which needs the right and changes nothing. Raises IndexUnavailable when the
    database does not answer.
    """
    engine = make_engine(url, pool_size=1)
    try:
        with index_errors():
            engine.connect().close()
        try:
            with engine.begin() as connection:
                connection.execute(delete(side.gateway_imageset).where(false()))
        except DBAPIError as error:
            return None if lacks_table(error) else False
        return True
    finally:
        engine.dispose()
