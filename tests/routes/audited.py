"""The gateway of the route tests with an audit log, and the lines that it writes."""

import json

from dicomweb_gateway.access.audit_log import AuditLog
from dicomweb_gateway.access.authentication import Known
from dicomweb_gateway.access.client_limits import ClientLimits, ClientRates
from dicomweb_gateway.access.shared_counts import SharedCounts
from dicomweb_gateway.app import create_app
from dicomweb_gateway.errors import Unauthenticated
from tests.routes.archive import build


class Callers:
    """In the place of the authenticator: callers by what they send in Authorization."""

    is_open = False

    def __init__(self, callers):
        self._callers = callers

    def known(self, presented):
        if presented.authorization not in self._callers:
            raise Unauthenticated("nobody is known to ask", ["Bearer"])
        return Known(self._callers[presented.authorization])


class AuditedHouse:
    """`get` asks it, `lines` are those of the log so far."""

    def __init__(self, folder, required=False, rates=None, callers=None, **settings):
        self.path = folder / "audit.log"
        self.house = build(folder, **settings)
        services = self.house.services
        limits = None if rates is None else ClientLimits(ClientRates(**rates), SharedCounts(1).claim(0))
        self.audit = AuditLog(self.path, required)
        # frozen, but this is the place where they are made
        object.__setattr__(services, "audit", self.audit)
        object.__setattr__(services, "limits", limits)
        if callers is not None:
            object.__setattr__(services, "authenticator", Callers(callers))
        self.app = create_app(services)
        self.client = self.app.test_client()

    def get(self, path, method="GET", environ=None, **headers):
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.open(path, method=method, headers=names, environ_overrides=environ or {})

    def lines(self):
        if not self.path.exists():
            return []
        lines = self.path.read_text().splitlines()
        return [json.loads(line, object_pairs_hook=_each_once) for line in lines]


def _each_once(pairs):
    """An object whose members have names of their own: of two equal ones readers take either."""
    found = dict(pairs)
    assert len(found) == len(pairs)
    return found
