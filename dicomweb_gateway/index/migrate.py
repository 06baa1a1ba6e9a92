"""Bringing a database to the schema of this version (Alembic, run from inside the program)."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from dicomweb_gateway.index.engine import index_errors, make_engine, writing
from dicomweb_gateway.index.side_tables import gateway_imageset
from dicomweb_gateway.index.tables import imageset

_PACKAGE = Path(__file__).parents[1]
_PLACES = (_PACKAGE / "_migrations", _PACKAGE.parent / "migrations")
"""In a wheel the scripts lie inside the package, in an editable install beside it."""


def scripts_folder() -> Path:
    """Where the migration scripts lie; FileNotFoundError when the installation lacks them."""
    for place in _PLACES:
        if (place / "env.py").is_file():
            return place
    raise FileNotFoundError("this installation of dicomweb-gateway has no migration scripts")


def upgrade(url: str) -> None:
    """Bring the database at `url` to the newest revision; only adds, and does nothing when it is there.

    Raises IndexUnavailable when the database does not answer or refuses.
    """
    # adding an index to a large table takes as long as it takes
    engine = make_engine(url, pool_size=1, answer_timeout=None)
    try:
        with index_errors(), writing(engine) as connection:
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()


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


def is_current(url: str) -> bool:
    """Whether the database at `url` is at the newest revision."""
    return current_revision(url) == head_revision()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(scripts_folder()).replace("%", "%%"))
    return config
