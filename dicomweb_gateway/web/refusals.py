"""Answers to requests that reach no application: those that cannot be read (dicomweb.md H-3, C-7)."""

from dicomweb_gateway.access.addresses import client_address
from dicomweb_gateway.access.audit_log import AuditLog
from dicomweb_gateway.dicom.json_model import dumps
from dicomweb_gateway.web.audited import audit_unrouted
from dicomweb_gateway.web.cors import cors_headers
from dicomweb_gateway.web.endings import AtEnd, Ending
from dicomweb_gateway.web.services import WebConfig


class Refusals:
    """What the server answers by itself; without `config` no page of another origin may read it."""

    def __init__(self, config: WebConfig | None = None, audit: AuditLog | None = None) -> None:
        self._config = config
        self._audit = audit

    def answer(self, status: int, message: str, origin: str | None) -> tuple[list[tuple[str, str]], bytes]:
        """Headers and body as those of all other errors have them."""
        headers = [
            ("Content-Type", "application/json"),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Vary", "Origin"),
        ]
        if status == 401:
            headers.append(("WWW-Authenticate", "Bearer"))
        if self._config is not None:
            headers.append(("Cross-Origin-Resource-Policy", self._config.resource_policy))
            if origin:
                headers += cors_headers(origin, self._config)
        return headers, dumps({"status": status, "message": message})

    def noted(
        self, peer: str, method: str, path: str, query: str, headers: dict[str, str], status: int
    ) -> AtEnd:
        """What writes into the audit log that a request came, when its answer, with `status`, is over.

        `headers` by the names that WSGI gives them.
        """
        if self._audit is None:
            return _nothing
        proxies = self._config.trusted_proxies if self._config is not None else ()
        address = client_address(
            peer, headers.get("X_FORWARDED_FOR"), headers.get("FORWARDED"), headers.get("X_REAL_IP"), proxies
        )
        return audit_unrouted(self._audit, address, method, path, query, status)


def _nothing(_: Ending) -> None:
    """Nobody keeps a record."""
