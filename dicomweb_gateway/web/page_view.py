"""What a page may say of the one who opens it, and of the gateway that they have reached."""

from dataclasses import dataclass

from flask import Request

from dicomweb_gateway.access.caller import Caller
from dicomweb_gateway.access.operations import GRANTED, Operation
from dicomweb_gateway.access.sessions import Session
from dicomweb_gateway.web.identity import known_or_nobody
from dicomweb_gateway.web.identity_keys import SESSION
from dicomweb_gateway.web.links import root_url
from dicomweb_gateway.web.prefix import prefix_of
from dicomweb_gateway.web.services import Services


@dataclass(frozen=True, slots=True)
class PageView:
    """`caller` None: nobody has logged in. `may`: the operations that some rule grants them somewhere.

    `ae_paths`: the base paths below which that is. `root` is the absolute URL of the gateway's root, `prefix`
    its path; `has_viewer`: OHIF is served.
    `session` is that by which the caller is known, where it is one; `has_login`: browsers can log in here.
    """

    caller: Caller | None
    may: frozenset[Operation]
    root: str
    prefix: str
    ae_paths: tuple[str, ...]
    has_viewer: bool = False
    session: Session | None = None
    has_login: bool = False

    def shows(self, operation: Operation) -> bool:
        """Whether what needs `operation` is for this caller."""
        return self.caller is not None and (operation is Operation.ENTER or operation in self.may)


def view_of(request: Request, gateway: Services, as_nobody: bool = False) -> PageView:
    """Of the caller of `request`, also on addresses that are open to all; `as_nobody`: of one unknown."""
    caller = None if as_nobody else known_or_nobody(request, gateway)
    root = root_url(request, gateway.config)
    return PageView(
        caller=caller,
        may=frozenset() if caller is None else operations_of(caller, gateway),
        root=root,
        prefix=prefix_of(root),
        ae_paths=() if caller is None else paths_of(caller, gateway),
        has_viewer=gateway.viewer is not None,
        session=None if caller is None else request.environ.get(SESSION),
        has_login=gateway.page_login is not None,
    )


def operations_of(caller: Caller, gateway: Services) -> frozenset[Operation]:
    """What `caller` may do below at least one base path, or outside all; nothing that is switched off."""
    places = (None, *gateway.config.ae_paths)
    return frozenset().union(*(_granted(caller, place, gateway) for place in places))


def paths_of(caller: Caller, gateway: Services) -> tuple[str, ...]:
    """The base paths below which `caller` may do anything; to others they are not told."""
    return tuple(path for path in gateway.config.ae_paths if _granted(caller, path, gateway))


def _granted(caller: Caller, place: str | None, gateway: Services) -> frozenset[Operation]:
    kinds = [one for one in GRANTED if one is not Operation.IMPORT or gateway.storing is not None]
    found = (one for one in kinds if not gateway.rules.sight_of(caller, place, one).is_nothing)
    return frozenset(found)
