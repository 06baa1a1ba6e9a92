"""What stands on the page at `/`."""

from collections.abc import Iterator

from markupsafe import Markup

from dicomweb_gateway.access.operations import Operation
from dicomweb_gateway.web.page_view import PageView
from dicomweb_gateway.web.pages import PAGES
from dicomweb_gateway.web.viewer import MOUNT as VIEWER


def home_main(view: PageView) -> Markup:
    """Where to go from here; to those who are not known nothing but what this is."""
    if view.caller is None:
        return Markup("<h1>dicomweb-gateway</h1>\n<p>This gateway shows nothing without a login.</p>")
    if not view.ae_paths:
        return Markup(
            "<h1>dicomweb-gateway</h1>\n<p>No base path is for you.</p>\n<ul class=tiles>\n{}</ul>"
        ).format(Markup("").join(_tiles(view)))
    addresses = Markup(" ").join(
        Markup("<code>{}{}</code>").format(view.root, path) for path in view.ae_paths
    )
    return Markup(
        "<h1>dicomweb-gateway</h1>\n<p>Point a DICOMweb viewer at {}.</p>\n<ul class=tiles>\n{}</ul>"
    ).format(addresses, Markup("").join(_tiles(view)))


def _tiles(view: PageView) -> Iterator[Markup]:
    for page in PAGES.values():
        if page.in_navigation and view.shows(page.operation):
            yield _tile(view, page.address, page.title)
    if view.has_viewer and view.shows(Operation.SEARCH):
        yield _tile(view, VIEWER, "Viewer")
    if view.ae_paths and view.shows(Operation.SEARCH):
        yield _tile(view, f"{view.ae_paths[0]}/studies?limit=25", "Studies as JSON")
    yield _tile(view, "/health", "Health")
    if view.shows(Operation.ADMIN):
        yield _tile(view, "/status", "Status")


def _tile(view: PageView, address: str, title: str) -> Markup:
    return Markup('<li><a href="{}{}">{}</a></li>\n').format(view.prefix, address, title)
