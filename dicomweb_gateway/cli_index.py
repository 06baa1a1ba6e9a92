"""`dicomweb-gateway index`: filling the metadata index and looking at it."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import orjson

from dicomweb_gateway.cli_common import Given, report
from dicomweb_gateway.errors import SettingsError, UpstreamError
from dicomweb_gateway.service.logs import set_up_logging
from dicomweb_gateway.settings import Settings
from dicomweb_gateway.shared.addresses import host_and_port

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class _Moment(click.ParamType[datetime]):
    """A date or time in ISO 8601 (UTC where it names no zone), or how long ago: 90m, 12h, 3d, 2w."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        number, unit = str(value)[:-1], str(value)[-1:]
        if unit in _UNITS and number.isascii() and number.isdigit() and len(number) < 6:
            return datetime.now(UTC) - timedelta(**{_UNITS[unit]: int(number)})
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(
                f"{value} is neither a time like 2026-01-31T08:00 nor an age like 12h or 3d", param, ctx
            )
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_datastores = click.option(
    "--datastore", multiple=True, help="Data store id; default: configured ones, else all."
)
_json = click.option("--json", "as_json", is_flag=True)


@click.group()
def index() -> None:
    """Fill the metadata index from HealthImaging."""


@index.command("sync")
@_datastores
@click.option("--since", type=_Moment(), help="Only what changed since; a time, or an age such as 12h or 3d.")
@click.option("--again", is_flag=True, help="Index also what the index holds at its version already.")
@click.option("--workers", type=click.IntRange(1, 64), default=8, show_default=True)
@_json
@click.pass_obj
def index_sync(
    given: Given, datastore: tuple[str, ...], since: datetime | None, again: bool, workers: int, as_json: bool
) -> None:
    """Index what is new or newer, remove what is gone; a run that was broken off goes on."""
    from dicomweb_gateway.workflow.meter import SyncMeter

    settings = given.settings()
    _, store, synchroniser = _parts(settings, workers)
    failed = False
    for datastore_id in _allowed(settings, datastore) or store.data_store_ids():
        meter = SyncMeter()
        found = synchroniser.data_store(datastore_id, meter, since, again)
        meter.finish()
        failed = failed or bool(found.failures)
        row = {"indexed": found.indexed, "unchanged": found.unchanged, "removed": found.removed}
        report(as_json, {"datastore": datastore_id, **row, "failures": found.failures})
    synchroniser.look_on()
    sys.exit(1 if failed else 0)


@index.command("image-set")
@click.argument("datastore_id")
@click.argument("image_set_ids", nargs=-1, required=True)
@click.pass_obj
def index_image_set(given: Given, datastore_id: str, image_set_ids: tuple[str, ...]) -> None:
    """Index image sets of a data store as they stand."""
    from dicomweb_gateway.imagesets.store import ImageSetRef

    settings = given.settings()
    _allowed(settings, (datastore_id,))
    _, _, synchroniser = _parts(settings)
    failed = False
    for image_set_id in image_set_ids:
        try:
            instances = synchroniser.image_set(ImageSetRef(datastore_id, image_set_id))
            click.echo(f"{image_set_id}: {instances} instances")
        except UpstreamError as error:
            failed = True
            click.echo(f"{image_set_id}: {error}", err=True)
    sys.exit(1 if failed else 0)


@index.command("prune")
@_datastores
@_json
@click.pass_obj
def index_prune(given: Given, datastore: tuple[str, ...], as_json: bool) -> None:
    """Remove image sets that HealthImaging no longer has; their instances answer 410 for 30 days."""
    settings = given.settings()
    writer, _, synchroniser = _parts(settings)
    failed = False
    for datastore_id in _allowed(settings, datastore) or writer.data_store_ids():
        found = synchroniser.prune(datastore_id)
        failed = failed or bool(found.failures)
        row = {"removed": found.removed, "kept": found.unchanged, "failures": found.failures}
        report(as_json, {"datastore": datastore_id, **row})
    sys.exit(1 if failed else 0)


@index.command("status")
@_json
@click.pass_obj
def index_status(given: Given, as_json: bool) -> None:
    """How much the index holds, image sets by state, conflicts, failures, the last synchronisations."""
    writer = _writer(given.settings())
    status = writer.status()
    runs = {run.datastoreid: run._asdict() for run in writer.sync_runs()}
    if given.settings().index_queue_url is not None:
        status.update(_queue_numbers(given.settings()))
    if as_json:
        click.echo(orjson.dumps({**status, "last_sync": runs}).decode())
        return
    conflicting = status.pop("conflicting")
    states = status.pop("image_sets")
    report(False, {**status, **{f"image sets {state}": number for state, number in states.items()}})
    for series_uid, image_sets in conflicting.items():
        click.echo(f"conflict  {series_uid}: {', '.join(image_sets)}")
    for datastore_id, run in runs.items():
        numbers = "  ".join(f"{name} {run[name]}" for name in ("indexed", "unchanged", "removed", "failed"))
        ended = f"ended {run['completed_at']:%Y-%m-%d %H:%M}" if run["completed_at"] else "not ended"
        click.echo(f"last sync  {datastore_id}: began {run['started_at']:%Y-%m-%d %H:%M}, {ended}  {numbers}")


@index.command("failures")
@click.option("--retry", is_flag=True, help="Try all of them again first.")
@_json
@click.pass_obj
def index_failures(given: Given, retry: bool, as_json: bool) -> None:
    """Image sets that could not be indexed, with reason and attempts; exit 1 when there are any."""
    settings = given.settings()
    writer, _, synchroniser = _parts(settings)
    if retry:
        found = synchroniser.retry()
        click.echo(f"{found.indexed} indexed, {found.removed} gone, {len(found.failures)} failed", err=True)
    allowed = settings.allowed_datastores
    rows = [row._asdict() for row in writer.failures() if allowed is None or row.datastoreid in allowed]
    if as_json:
        click.echo(orjson.dumps(rows).decode())
    else:
        for row in rows:
            place = f"{row['datastoreid']} {row['imagesetid']}"
            click.echo(f"{place}  {row['attempts']} attempts, last {row['last_at']:%F}: {row['reason']}")
    sys.exit(1 if rows else 0)


@index.command("watch")
@click.option("--reconcile", type=click.IntRange(10), default=3600, show_default=True, metavar="SECONDS")
@click.pass_obj
def index_watch(given: Given, reconcile: int) -> None:
    """Follow HealthImaging's events in INDEX_QUEUE_URL until SIGTERM; see what they missed now and then."""
    from dicomweb_gateway.imagesets.event_queue import EventQueue
    from dicomweb_gateway.service.notify import Notifier
    from dicomweb_gateway.workflow.watch import Watcher

    notifier = Notifier.of_environment()
    settings = given.settings()
    if settings.index_queue_url is None:
        raise SettingsError("INDEX_QUEUE_URL: `index watch` needs the URL of the SQS queue with the events")
    set_up_logging(settings.log_level, settings.log_format)
    queue = EventQueue(settings.index_queue_url, settings.ahi_region)
    writer, store, synchroniser = _parts(settings)
    only = settings.ahi_datastore_ids
    watcher = Watcher(queue, writer, synchroniser, lambda: only or store.data_store_ids(), only, reconcile)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: watcher.end())
    with _watch_metrics(settings, watcher, writer):
        notifier.ready(f"following {settings.index_queue_url}")
        watcher.run()
        notifier.stopping()


@contextmanager
def _watch_metrics(settings: Settings, watcher: Any, writer: Any) -> Iterator[None]:
    """WATCH_METRICS, if it is set."""
    if settings.watch_metrics is None:
        yield
        return
    from dicomweb_gateway.imagesets.event_queue import EventQueue
    from dicomweb_gateway.service.watch_numbers import told_on, watch_gauges

    # of its own: the watcher's is broken off when it is told to end
    queue = EventQueue(settings.index_queue_url or "", settings.ahi_region)
    host, port = host_and_port(settings.watch_metrics)
    with told_on(
        host,
        port,
        settings.metrics_from,
        lambda: watch_gauges(watcher, queue, lambda: len(writer.failures())),
    ):
        yield


def _parts(settings: Settings, workers: int = 8) -> tuple[Any, Any, Any]:
    """Writer, HealthImaging and synchroniser as configured; the index's schema is seen to first."""
    from dicomweb_gateway.service.indexing import make_synchroniser

    made = make_synchroniser(settings, workers)
    click.get_current_context().call_on_close(made[0].close)
    return made


def _allowed(settings: Settings, asked: tuple[str, ...]) -> tuple[str, ...]:
    """The data stores that were asked for, else the configured ones; SettingsError for one left out there."""
    for datastore_id in asked:
        if settings.ahi_datastore_ids and datastore_id not in settings.ahi_datastore_ids:
            raise SettingsError(f"AHI_DATASTORE_IDS: data store {datastore_id} is not among them")
    return asked or settings.ahi_datastore_ids


def _writer(settings: Settings) -> Any:
    from dicomweb_gateway.service.index_writing import make_index_writer

    writer = make_index_writer(settings)
    click.get_current_context().call_on_close(writer.close)
    return writer


def _queue_numbers(settings: Settings) -> dict[str, Any]:
    """Messages that wait in the queue, and those that its consumers gave up."""
    from dicomweb_gateway.imagesets.event_queue import EventQueue

    queue = EventQueue(settings.index_queue_url or "", settings.ahi_region)
    return {"queued": queue.waiting(), "dead_letters": queue.dead()}
