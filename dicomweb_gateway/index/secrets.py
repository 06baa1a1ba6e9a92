"""Random secrets that all processes and hosts of one service share, kept with the index."""

import hmac
import logging
import secrets
from hashlib import sha256

from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from dicomweb_gateway.index.engine import identity_of, index_errors, is_refusal, lacks_table, writing
from dicomweb_gateway.index.side_tables import gateway_secret

_LOG = logging.getLogger(__name__)


def shared_secret(engine: Engine, name: str) -> str:
    """The secret called `name`, 64 hex digits; made at the first call anywhere.

    Where the index may only be read, or has no table for it, the secret follows from the database URL with
    its password (or the ARN of its secret): the same wherever that is configured alike. Raises
    IndexUnavailable when the database does not answer.
    """
    with index_errors():
        try:
            return _stored(engine, name) or _made(engine, name)
        except DBAPIError as error:
            if not (is_refusal(error) or lacks_table(error)):
                raise
    _LOG.info("the index may not be written: secret %s follows from the database URL", name)
    return hmac.new(identity_of(engine).encode(), name.encode(), sha256).hexdigest()


def _stored(engine: Engine, name: str) -> str | None:
    with engine.connect() as connection:
        query = select(gateway_secret.c.value).where(gateway_secret.c.name == name)
        return connection.execute(query).scalar()


def _made(engine: Engine, name: str) -> str:
    """A new secret, or that of another process which was faster."""
    value = secrets.token_hex(32)
    try:
        with writing(engine) as connection:
            connection.execute(insert(gateway_secret).values(name=name, value=value))
    except IntegrityError:
        return _stored(engine, name) or value
    return value
