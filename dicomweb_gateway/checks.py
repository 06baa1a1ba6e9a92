"""`check`: what an administrator looks at before starting the service."""

import resource
import shutil
from typing import NamedTuple

from dicomweb_gateway.errors import GatewayError, UpstreamDenied
from dicomweb_gateway.index.known import index_counts
from dicomweb_gateway.index.migrate import current_revision, head_revision, is_made_by_aws
from dicomweb_gateway.index.missing_ddl import missing_ddl
from dicomweb_gateway.service.logins import describe_logins
from dicomweb_gateway.service.upstream import make_image_set_store
from dicomweb_gateway.settings import Settings

_FREE_BYTES = 1 << 30
_DESCRIPTORS = 4096


class CheckResult(NamedTuple):
    """One line of the table."""

    name: str
    ok: bool
    detail: str


def run_checks(settings: Settings) -> list[CheckResult]:
    """Every check, each in its own right: one that fails keeps no other from running."""
    return [
        _schema(settings),
        *_missing(settings),
        _index(settings),
        _logins(settings),
        _credentials(settings),
        _upstream(settings),
        _disk(settings),
        _limits(),
    ]


def _schema(settings: Settings) -> CheckResult:
    try:
        current = current_revision(settings.index_url)
    except GatewayError as error:
        return CheckResult("schema", False, str(error))
    wanted = head_revision()
    embedded = settings.index_url.startswith("sqlite")
    if current == wanted:
        return CheckResult("schema", True, f"revision {current}")
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


def _credentials(settings: Settings) -> CheckResult:
    source = make_image_set_store(settings).credentials_source()
    return CheckResult("credentials", source != "none", source)


def _upstream(settings: Settings) -> CheckResult:
    try:
        make_image_set_store(settings).ping()
    except UpstreamDenied as error:
        return CheckResult("HealthImaging", True, f"answers, but may not list data stores: {error}")
    except GatewayError as error:
        return CheckResult("HealthImaging", False, str(error))
    return CheckResult("HealthImaging", True, settings.ahi_endpoint or "AWS")


def _disk(settings: Settings) -> CheckResult:
    folder = settings.cache_folder
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    return CheckResult("disk", free > _FREE_BYTES, f"{free / (1 << 30):.1f} GiB free at {folder}")


def _limits() -> CheckResult:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    fine = hard == resource.RLIM_INFINITY or hard >= _DESCRIPTORS
    return CheckResult("limits", fine, f"{hard} open files allowed")
