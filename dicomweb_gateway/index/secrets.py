"""Random secrets that all processes and hosts of one service share, kept with the index."""

import secrets

from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import IntegrityError

from dicomweb_gateway.index.engine import reading, writing
from dicomweb_gateway.index.side_tables import gateway_secret


def shared_secret(engine: Engine, name: str) -> str:
    """The secret called `name`, 64 hex digits; made at the first call anywhere. Raises IndexUnavailable."""
    query = select(gateway_secret.c.value).where(gateway_secret.c.name == name)
    with reading(engine) as connection:
        found = connection.execute(query).scalar()
    if found is not None:
        return str(found)
    try:
        with writing(engine) as connection:
            connection.execute(insert(gateway_secret).values(name=name, value=secrets.token_hex(32)))
    except IntegrityError:
        # another process was faster: its secret counts
        pass
    with reading(engine) as connection:
        return str(connection.execute(query).scalar_one())
