"""`dicomweb-gateway datastores`: what HealthImaging has, its details and its tags."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import click

from dicomweb_gateway.cli_common import HEALTHIMAGING_ID, Given, report
from dicomweb_gateway.errors import ImportTrouble, SettingsError, UpstreamNotFound

_json = click.option("--json", "as_json", is_flag=True)


@click.group("datastores", invoke_without_command=True)
@click.pass_context
def data_stores(ctx: click.Context) -> None:
    """The data stores of the account; without a further word they are listed."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(data_stores_list)


@data_stores.command("list")
@_json
@click.pass_obj
def data_stores_list(given: Given, as_json: bool = False) -> None:
    """Name, id and status of all data stores."""
    with _stores(given) as stores:
        rows = [asdict(one) for one in stores.all()]
    if as_json:
        for row in rows:
            report(True, _told(row))
        return
    click.echo(f"{len(rows)} HealthImaging data stores were retrieved.")
    for row in rows:
        click.echo(f"  {row['datastore_id']}  {row['status']:8}  {row['name']}")


@data_stores.command("show")
@click.argument("datastore_id", type=HEALTHIMAGING_ID)
@_json
@click.pass_obj
def data_stores_show(given: Given, datastore_id: str, as_json: bool) -> None:
    """Everything about one data store, its tags too."""
    with _stores(given) as stores:
        found = {**_told(asdict(stores.get(datastore_id))), "tags": stores.tags(datastore_id)}
    if as_json:
        report(True, found)
        return
    for name, value in found.items():
        click.echo(f"{name:15} {value}")


@data_stores.command("create")
@click.argument("name")
@_json
@click.pass_obj
def data_stores_create(given: Given, name: str, as_json: bool) -> None:
    """Make a data store; returns when it is ACTIVE."""
    with _stores(given) as stores:
        report(as_json, {"datastore_id": stores.create(name).datastore_id, "name": name})


@data_stores.command("delete")
@click.argument("datastore_id", type=HEALTHIMAGING_ID)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def data_stores_delete(given: Given, datastore_id: str, yes: bool) -> None:
    """Delete an empty data store."""
    if not yes:
        click.confirm(f"Delete the data store {datastore_id}?", abort=True)
    with _stores(given) as stores:
        stores.delete(datastore_id)
    click.echo(f"the data store {datastore_id} is being deleted")


@data_stores.command("tag")
@click.argument("datastore_id", type=HEALTHIMAGING_ID)
@click.argument("pairs", nargs=-1, metavar="[KEY=VALUE | KEY-]...")
@_json
@click.pass_obj
def data_stores_tag(given: Given, datastore_id: str, pairs: tuple[str, ...], as_json: bool) -> None:
    """Set tags (KEY=VALUE) and take some off (KEY-); then show all."""
    put: dict[str, str] = {}
    off: list[str] = []
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if separator and key:
            put[key] = value
        elif pair.endswith("-") and len(pair) > 1:
            off.append(pair[:-1])
        else:
            raise SettingsError(f"{pair}: write KEY=VALUE, or KEY- to take a tag off")
    with _stores(given) as stores:
        if put:
            stores.tag(datastore_id, put)
        if off:
            stores.untag(datastore_id, off)
        found = stores.tags(datastore_id)
    if as_json:
        report(True, found)
        return
    for key, value in sorted(found.items()):
        click.echo(f"{key}={value}")


@contextmanager
def _stores(given: Given) -> Iterator[Any]:
    from dicomweb_gateway.imagesets.data_stores import DataStores

    settings = given.settings()
    stores = DataStores(settings.ahi_endpoint, settings.ahi_region)
    try:
        yield stores
    except UpstreamNotFound as error:
        raise ImportTrouble("there is no such data store") from error
    finally:
        stores.close()


def _told(row: dict[str, Any]) -> dict[str, Any]:
    created = row["created_at"]
    return {**row, "created_at": created.isoformat() if created else None}
