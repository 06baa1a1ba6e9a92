"""Bringing a database to the schema of this version (Alembic, run from inside the program).

While hosts are upgraded one after the other, programs of two versions serve one database. So revisions only
add, and one that programs before it can serve too says so in its id: `0008_from_0006` is revision 0008, good
for every program whose newest revision is 0006 or later. What a program does not know it judges by that.
"""

import logging
import re
from enum import Enum
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from dicomweb_gateway.errors import SettingsError
from dicomweb_gateway.index.engine import index_errors, make_engine, writing
from dicomweb_gateway.index.side_tables import gateway_imageset
from dicomweb_gateway.index.tables import imageset

_LOG = logging.getLogger(__name__)
_PACKAGE = Path(__file__).parents[1]
_PLACES = (_PACKAGE / "_migrations", _PACKAGE.parent / "migrations")
"""In a wheel the scripts lie inside the package, in an editable install beside it."""


_ID = re.compile(r"(\d{4})(?:_from_(\d{4}))?")
_TURN = "SELECT GET_LOCK(CONCAT('dicomweb_gateway.', MD5(DATABASE())), 86400)"
"""Two that upgrade at once would both make the same; the end of the connection gives the lock back."""


class Standing(Enum):
    """How a database's schema stands to this version of the program."""

    CURRENT = "this version's"
    BEHIND = "older"
    NEWER = "newer, and this version serves it too"
    FOREIGN = "newer, and not for this version any more"

    @property
    def is_served(self) -> bool:
        """Whether this version may serve such a database."""
        return self in (Standing.CURRENT, Standing.NEWER)


def scripts_folder() -> Path:
    """Where the migration scripts lie; FileNotFoundError when the installation lacks them."""
    for place in _PLACES:
        if (place / "env.py").is_file():
            return place
    raise FileNotFoundError("this installation of dicomweb-gateway has no migration scripts")


def upgrade(url: str) -> None:
    """Bring the database at `url` to the newest revision; only adds, and does nothing when it is there.

    One that a newer version has made stays as it is. Raises IndexUnavailable when the database does not
    answer or refuses, SettingsError when it is not for this version any more.
    """
    # adding an index to a large table takes as long as it takes
    engine = make_engine(url, pool_size=1, answer_timeout=None)
    try:
        with index_errors(), writing(engine) as connection:
            if connection.dialect.name != "sqlite":
                connection.execute(text(_TURN))
            _upgrade(connection)
    finally:
        engine.dispose()


def _upgrade(connection: Connection) -> None:
    revision = MigrationContext.configure(connection).get_current_revision()
    standing = standing_of(revision)
    if standing is Standing.FOREIGN:
        raise SettingsError(f"the index is at revision {revision}: {standing.value}")
    if standing is Standing.NEWER:
        _LOG.info("the index is at revision %s: %s", revision, standing.value)
        return
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def current_revision(url: str) -> str | None:
    """The revision that the database at `url` is at, None when it was never migrated."""
    engine = make_engine(url, pool_size=1)
    try:
        with index_errors(), engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()


def is_made_by_aws(url: str) -> bool:
    """Whether the database has the tables of the AWS project and none of ours."""
    engine = make_engine(url, pool_size=1)
    try:
        with index_errors():
            names = set(inspect(engine).get_table_names())
    finally:
        engine.dispose()
    return imageset.name in names and gateway_imageset.name not in names


def head_revision() -> str:
    """The newest revision that this version of the program has."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise FileNotFoundError("this installation of dicomweb-gateway has no migration revisions")
    return head


def standing_of(revision: str | None) -> Standing:
    """How a database at `revision`, None for one that was never migrated, stands to this version."""
    scripts = ScriptDirectory.from_config(_config())
    head = head_revision()
    if revision == head:
        return Standing.CURRENT
    if revision is None or any(script.revision == revision for script in scripts.walk_revisions()):
        return Standing.BEHIND
    named = _ID.fullmatch(revision)
    if named is not None and named[2] is not None and named[2] <= head[:4]:
        return Standing.NEWER
    return Standing.FOREIGN


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(scripts_folder()).replace("%", "%%"))
    return config
