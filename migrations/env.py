"""Alembic's entry: runs the revisions on the connection that dicomweb_gateway.index.migrate hands over."""

from alembic import context

connection = context.config.attributes.get("connection")
if connection is None:
    raise RuntimeError("run migrations with `dicomweb-gateway index upgrade`; alembic alone has no database")

context.configure(connection=connection, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
