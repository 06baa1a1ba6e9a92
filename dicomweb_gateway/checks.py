"""`check`: what an administrator looks at before starting the service."""

from dicomweb_gateway.access.rules import read_rules
from dicomweb_gateway.errors import GatewayError, UpstreamDenied
from dicomweb_gateway.imagesets.event_queue import EventQueue
from dicomweb_gateway.index.known import index_counts
from dicomweb_gateway.index.migrate import (
    Standing,
    current_revision,
    head_revision,
    is_made_by_aws,
    standing_of,
)
from dicomweb_gateway.index.missing_ddl import missing_ddl
from dicomweb_gateway.index.rights import may_write
from dicomweb_gateway.service.logins import describe_logins
from dicomweb_gateway.service.machine_checks import CheckResult, machine_checks
from dicomweb_gateway.service.session_stores import describe_session_store
from dicomweb_gateway.service.unread import unread_by_narrow
from dicomweb_gateway.service.upstream import make_image_set_store
from dicomweb_gateway.settings import Settings
from dicomweb_gateway.shared.cache import SharedCache

_SKEW_SECONDS = 60.0
"""AWS refuses what is signed with a clock that is five minutes off, and tokens end by the second."""


def run_checks(settings: Settings) -> list[CheckResult]:
    """Every check, each in its own right: one that fails keeps no other from running."""
    return [
        _schema(settings),
        *_missing(settings),
        _index(settings),
        *_rights(settings),
        _logins(settings),
        _rules(settings),
        _credentials(settings),
        _upstream(settings),
        *_clock(settings),
        *_queue(settings),
        *_shared_cache(settings),
        *_sessions(settings),
        *machine_checks(settings),
    ]


def _schema(settings: Settings) -> CheckResult:
    try:
        current = current_revision(settings.index_url)
    except GatewayError as error:
        return CheckResult("schema", False, str(error))
    wanted = head_revision()
    embedded = settings.index_url.startswith("sqlite")
    standing = standing_of(current)
    if standing is Standing.CURRENT:
        return CheckResult("schema", True, f"revision {current}")
    if standing is not Standing.BEHIND:
        return CheckResult("schema", standing.is_served, f"revision {current}: {standing.value}")
    if current is None and not embedded and is_made_by_aws(settings.index_url):
        return CheckResult("schema", True, "the AWS project's tables alone: they are read as they are")
    advice = "made at the first start" if embedded else "run `dicomweb-gateway db upgrade`"
    return CheckResult("schema", embedded, f"revision {current or 'none'}, needs {wanted}: {advice}")


def _missing(settings: Settings) -> list[CheckResult]:
    """What an administrator may add to the database, each with what it gains; works without it too."""
    try:
        lines = missing_ddl(settings.index_url)
    except GatewayError:
        return []
    return [CheckResult("missing", True, f"{line.statement}; gains: {line.gain}") for line in lines]


def _index(settings: Settings) -> CheckResult:
    try:
        counts = index_counts(settings.index_url)
    except GatewayError as error:
        return CheckResult("index", False, str(error))
    return CheckResult("index", True, ", ".join(f"{value} {name}" for name, value in counts.items()))


def _logins(settings: Settings) -> CheckResult:
    try:
        return CheckResult("logins", True, describe_logins(settings))
    except GatewayError as error:
        return CheckResult("logins", False, str(error))


def _rights(settings: Settings) -> list[CheckResult]:
    try:
        found = may_write(settings.index_url)
    except GatewayError:
        # the line above says so
        return []
    if found is None:
        return []
    told = (
        "may read and write"
        if found
        else "may only read: `index sync` and `index watch` need a user who may write"
    )
    return [CheckResult("rights", True, told)]


def _rules(settings: Settings) -> CheckResult:
    try:
        rules = read_rules(settings.access_rules, settings.ae_path)
    except GatewayError as error:
        return CheckResult("rules", False, str(error))
    try:
        unread = unread_by_narrow(rules, settings.allowed_datastores, settings.index_url)
    except GatewayError:
        # the line of the index says so
        unread = None
    none = "none: who is let in may read everything"
    told = none if settings.access_rules is None else str(settings.access_rules)
    return CheckResult("rules", True, "; ".join(filter(None, (told, unread))))


def _credentials(settings: Settings) -> CheckResult:
    image_sets = make_image_set_store(settings)
    source = image_sets.credentials_source()
    if source.startswith("none") or settings.ahi_endpoint is not None:
        return CheckResult(
            "credentials", not source.startswith("none") or bool(settings.ahi_endpoint), source
        )
    try:
        return CheckResult("credentials", True, f"{source}: {image_sets.identity()}")
    except UpstreamDenied as error:
        return CheckResult("credentials", False, f"{source}: {error}")
    except GatewayError:
        return CheckResult("credentials", True, f"{source}; STS, which knows whose they are, does not answer")


def _upstream(settings: Settings) -> CheckResult:
    try:
        known = make_image_set_store(settings).data_store_ids()
    except UpstreamDenied as error:
        return CheckResult("HealthImaging", True, f"answers, but may not list data stores: {error}")
    except GatewayError as error:
        return CheckResult("HealthImaging", False, str(error))
    missing = sorted(set(settings.ahi_datastore_ids) - set(known))
    if missing:
        return CheckResult("HealthImaging", False, f"has no active data store {', '.join(missing)}")
    return CheckResult("HealthImaging", True, f"{settings.ahi_endpoint or 'AWS'}, {len(known)} data stores")


def _clock(settings: Settings) -> list[CheckResult]:
    try:
        ahead = make_image_set_store(settings).clock_ahead()
    except GatewayError:
        return []
    if ahead is None:
        return []
    return [
        CheckResult("clock", abs(ahead) <= _SKEW_SECONDS, f"HealthImaging's is {ahead:+.0f} s ahead of ours")
    ]


def _shared_cache(settings: Settings) -> list[CheckResult]:
    """Whether the servers answer; without them all is served as well, but more is fetched."""
    config = settings.shared_cache
    if config is None:
        return []
    try:
        SharedCache(config, b"").ask_all()
    except OSError as error:
        return [CheckResult("shared cache", False, str(error))]
    return [CheckResult("shared cache", True, "answers")]


def _sessions(settings: Settings) -> list[CheckResult]:
    """Whether the Redis server answers without which nobody logs in at the pages."""
    try:
        told = describe_session_store(settings)
    except GatewayError as error:
        return [CheckResult("sessions", False, str(error))]
    return [] if told is None else [CheckResult("sessions", True, f"{told} answers")]


def _queue(settings: Settings) -> list[CheckResult]:
    if settings.index_queue_url is None:
        return []
    try:
        waiting = EventQueue(settings.index_queue_url, settings.ahi_region).waiting()
    except GatewayError as error:
        return [CheckResult("queue", False, str(error))]
    return [CheckResult("queue", True, f"{waiting} messages wait")]
