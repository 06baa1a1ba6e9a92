"""The pages for people: `/`, the pages below /pages, and the files that they are made of."""

from flask import Blueprint, Response, request
from markupsafe import Markup

from dicomweb_gateway.access.operations import Operation
from dicomweb_gateway.dicom.json_model import dumps
from dicomweb_gateway.errors import ResourceNotFound
from dicomweb_gateway.web.admin import may_edit
from dicomweb_gateway.web.compression import accepts_gzip
from dicomweb_gateway.web.conditional import is_match
from dicomweb_gateway.web.headers import add_vary
from dicomweb_gateway.web.home import home_main
from dicomweb_gateway.web.page import page_response
from dicomweb_gateway.web.page_view import view_of
from dicomweb_gateway.web.pages import MOUNT as PAGES_MOUNT
from dicomweb_gateway.web.pages import PAGES
from dicomweb_gateway.web.services import services
from dicomweb_gateway.web.static_files import MOUNT, own_files

blueprint = Blueprint("pages", __name__)

_FOR_GOOD = "public, max-age=31536000, immutable"
_REVALIDATED = "public, no-cache"


@blueprint.get("/")
def home() -> Response:
    """The page for people who open the address in a browser; 200 for scripts that look here (S-3)."""
    view = view_of(request, services())
    return page_response(view, own_files(), "Start", home_main(view), "home", here="/")


@blueprint.get(f"{PAGES_MOUNT}/<page>")
def show_page(page: str) -> Response:
    """One of our pages, in the frame; for callers who may not open it as if there were none."""
    view = view_of(request, services())
    found = PAGES.get(page)
    if found is None or not view.shows(found.operation):
        raise ResourceNotFound("there is no such page")
    files = own_files()
    main = Markup(files.piece(f"pages/{found.name}.html"))  # noqa: S704 - a file of the package
    return page_response(view, files, found.title, main, found.name, here=found.address)


@blueprint.get("/session")
def tell_session() -> Response:
    """Who asks and what they may do, for scripts of pages."""
    view = view_of(request, services())
    caller, session = view.caller, view.session
    told = {
        "user": "" if caller is None or caller.mode == "none" else caller.name,
        "login": None if caller is None else caller.mode,
        "groups": [] if caller is None else sorted(caller.groups),
        "may": [one.value for one in Operation if one in view.may],
        "paths": list(view.ae_paths),
        "edits": may_edit(request, view, services()),
        "session": None
        if session is None
        else {"began": session.row.begun_at, "ends": session.row.ends_at, "csrf": session.csrf},
    }
    response = Response(dumps(told), content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get(f"{MOUNT}/<digest>/<path:file>")
def send_static(digest: str, file: str) -> Response:
    """A script, style or picture of our pages; that of another version is not kept."""
    files = own_files()
    found = files.find(file)
    if found is None:
        raise ResourceNotFound("there is no such file")
    if is_match(request.headers.get("If-None-Match"), found.tag):
        response = Response(status=304)
    else:
        response = Response(content_type=found.media_type)
        if found.packed is not None and accepts_gzip(request.headers.get("Accept-Encoding")):
            response.headers["Content-Encoding"] = "gzip"
            response.set_data(found.packed)
        else:
            response.set_data(found.plain)
    if found.packed is not None:
        add_vary(response, "Accept-Encoding")
    response.headers["ETag"] = found.tag
    response.headers["Cache-Control"] = _FOR_GOOD if digest == files.digest else _REVALIDATED
    return response
