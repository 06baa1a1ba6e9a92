"""OHIF at /viewer: static files, its own pages, and a configuration that names this gateway."""

from typing import BinaryIO, cast

from flask import Blueprint, Response, request
from werkzeug.wsgi import wrap_file

from dicomweb_gateway.errors import ResourceNotFound
from dicomweb_gateway.web.compression import accepts_gzip
from dicomweb_gateway.web.conditional import is_match
from dicomweb_gateway.web.headers import add_vary
from dicomweb_gateway.web.identity import known_or_nobody
from dicomweb_gateway.web.identity_keys import SESSION
from dicomweb_gateway.web.links import root_url
from dicomweb_gateway.web.page_view import paths_of
from dicomweb_gateway.web.services import services
from dicomweb_gateway.web.to_login import way_to_login
from dicomweb_gateway.web.viewer import MOUNT, SIGNED_OUT, Viewer, configuration, mount_of, page_headers
from dicomweb_gateway.web.viewer_files import ViewerFile

blueprint = Blueprint("viewer", __name__)

_FOR_GOOD = "public, max-age=31536000, immutable"
_REVALIDATED = "public, no-cache"


@blueprint.get(MOUNT)
@blueprint.get(f"{MOUNT}/<path:name>")
def view(name: str = "") -> Response:
    """A file of OHIF, or for the addresses of its pages the page; ResourceNotFound for other names."""
    gateway = services()
    viewer = cast(Viewer, gateway.viewer)
    root = root_url(request, gateway.config)
    try:
        found = viewer.files.find(name or "index.html", mount_of(root))
    except OSError:
        found = None
    if found is None:
        raise ResourceNotFound("the viewer has no such file")
    if found.media_type.startswith("text/html") and viewer.login is None:
        # OHIF has no login of its own then, and the browser's would ask for a password at every picture
        way = way_to_login(request, gateway)
        if way is not None and known_or_nobody(request, gateway) is None:
            return way
    if is_match(request.headers.get("If-None-Match"), found.tag):
        return _with_head(Response(status=304), found, viewer)
    return _with_head(_answer(found), found, viewer)


@blueprint.get(f"{MOUNT}/app-config.js")
def configure_viewer() -> Response:
    """What OHIF is told: the base paths that its user may know, and where its users log in."""
    gateway = services()
    viewer = cast(Viewer, gateway.viewer)
    # whom a session shows need not log in again: the browser sends it with what OHIF asks for
    caller = known_or_nobody(request, gateway)
    login = None if SESSION in request.environ else viewer.login
    if caller is not None:
        paths = paths_of(caller, gateway)
    else:
        # OHIF, or the browser at its first question, logs in afterwards; else nobody gets as far as the page
        paths = gateway.config.ae_paths if login is not None or gateway.page_login is None else ()
    body = configuration(root_url(request, gateway.config), paths, login)
    response = Response(body, content_type="text/javascript; charset=utf-8")
    # without PUBLIC_URL it is made of the request's host name, which nobody may keep for others
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get(f"{MOUNT}{SIGNED_OUT}")
def tell_signed_out() -> Response:
    """A page for those who have logged out: OHIF itself would log them in again at once."""
    mount = mount_of(root_url(request, services().config))
    text = (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Signed out</title>"
        f'<h1>You have signed out</h1><p><a href="{mount}">Sign in</a>'
    )
    response = Response(text, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = "default-src 'none'"
    response.headers["Cache-Control"] = "no-store"
    return response


def _answer(found: ViewerFile) -> Response:
    """The file's bytes, which go out as a file where they lie in one."""
    response = Response(content_type=found.media_type)
    if found.path is not None:
        response.direct_passthrough = True
        response.headers["Content-Length"] = str(found.path.stat().st_size)
        if request.method == "HEAD":
            response.response = []
        else:
            file = found.path.open("rb")
            response.call_on_close(file.close)
            response.response = wrap_file(request.environ, cast(BinaryIO, file))
    elif accepts_gzip(request.headers.get("Accept-Encoding")):
        response.headers["Content-Encoding"] = "gzip"
        response.set_data(found.packed or b"")
    else:
        response.set_data(found.plain())
    return response


def _with_head(response: Response, found: ViewerFile, viewer: Viewer) -> Response:
    response.headers["ETag"] = found.tag
    response.headers["Cache-Control"] = _FOR_GOOD if found.immutable else _REVALIDATED
    response.headers["X-Content-Type-Options"] = "nosniff"
    if found.packed is not None:
        add_vary(response, "Accept-Encoding")
    if found.media_type.startswith("text/html"):
        response.headers.update(page_headers(found.plain(), viewer.login))
    elif viewer.login is None:
        # a worker must be as isolated as the page that starts it
        response.headers["Cross-Origin-Embedder-Policy"] = "require-corp"
    return response
