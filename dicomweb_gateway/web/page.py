"""The frame of every page: head, navigation, who is logged in; the page's own part stands in <main>."""

from collections.abc import Iterator

from flask import Response
from markupsafe import Markup

from dicomweb_gateway.access.operations import Operation
from dicomweb_gateway.web.page_view import PageView
from dicomweb_gateway.web.pages import PAGES
from dicomweb_gateway.web.static_files import StaticFiles
from dicomweb_gateway.web.viewer import MOUNT as VIEWER

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "worker-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""Scripts and styles come from files of ours, and a page speaks to nobody but this gateway."""

_DOCUMENT = Markup(
    '<!doctype html>\n<html lang="en" data-root="{prefix}" data-bases="{bases}"{known}>\n<head>\n'
    '<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    '<meta name="color-scheme" content="light dark">\n<title>{title} - dicomweb-gateway</title>\n{links}'
    '</head>\n<body>\n<a class="skip" href="#main">Skip to the content</a>\n'
    '<header class="frame">\n<a class="brand" href="{prefix}/">dicomweb-gateway</a>\n'
    '<nav aria-label="Pages"><ul>{navigation}</ul></nav>\n<div class="who">{who}</div>\n</header>\n'
    '<main id="main" tabindex="-1">\n{main}\n</main>\n</body>\n</html>\n'
)


def page_response(
    view: PageView, files: StaticFiles, title: str, main: Markup, name: str = "", here: str = ""
) -> Response:
    """The page `title` with `main` in the frame, which nobody keeps; `here` is its address below the root.

    `name` names its script and style, NAME.js and NAME.css, as far as they are among `files`.
    """
    text = _DOCUMENT.format(
        title=title,
        prefix=view.prefix,
        # what there is to ask is nobody's business who is not known
        bases="" if view.caller is None else " ".join(view.ae_paths),
        known=_known(view),
        links=Markup("").join(_links(view, files, name)),
        navigation=Markup("").join(_navigation(view, here)),
        who=_who(view, here),
        main=main,
    )
    response = Response(str(text), content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    # without any referrer browsers would hide from us, too, that a form is of a page of ours
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cache-Control"] = "no-store"
    return response


def _known(view: PageView) -> Markup:
    """What scripts must know of the login: whether there is one, the session's proof, what its caller may."""
    if view.caller is None:
        return Markup()
    name = view.caller.name if view.caller.mode != "none" else ""
    csrf = "" if view.session is None else view.session.csrf
    may = " ".join(one.value for one in Operation if one in view.may)
    return Markup(' data-known="{}" data-csrf="{}" data-may="{}"').format(name, csrf, may)


def _links(view: PageView, files: StaticFiles, name: str) -> Iterator[Markup]:
    yield Markup('<link rel="icon" href="{}{}">\n').format(view.prefix, files.address("icon.svg"))
    for style in ("frame.css", f"{name}.css"):
        if files.find(style) is not None:
            yield Markup('<link rel="stylesheet" href="{}{}">\n').format(view.prefix, files.address(style))
    scripts = [script for script in ("frame.js", f"{name}.js") if files.find(script) is not None]
    # else a browser finds them one after the other, a round trip for each step of what imports what
    modules = dict.fromkeys(module for script in scripts for module in files.modules(script))
    for module in modules:
        yield Markup('<link rel="modulepreload" href="{}{}">\n').format(view.prefix, files.address(module))
    for script in scripts:
        yield Markup('<script type="module" src="{}{}"></script>\n').format(
            view.prefix, files.address(script)
        )


def _navigation(view: PageView, here: str) -> Iterator[Markup]:
    for page in PAGES.values():
        if page.in_navigation and view.shows(page.operation):
            yield _entry(view, page.address, page.title, here)
    if view.has_viewer and view.shows(Operation.SEARCH):
        yield _entry(view, VIEWER, "Viewer", here)
    if view.shows(Operation.ADMIN):
        yield _entry(view, "/status", "Status", here)


def _entry(view: PageView, address: str, title: str, here: str) -> Markup:
    return Markup("<li>{}</li>").format(_link(view, address, title, here))


def _link(view: PageView, address: str, title: str, here: str) -> Markup:
    current = Markup(' aria-current="page"') if address == here else ""
    return Markup('<a href="{}{}"{}>{}</a>').format(view.prefix, address, current, title)


def _who(view: PageView, here: str) -> Markup:
    """Who is logged in, with the way to their account and out; nothing where no login is asked."""
    if view.caller is None:
        return _link(view, "/login", "Log in", here) if view.has_login else Markup()
    if view.caller.mode == "none":
        return Markup()
    account = _link(view, PAGES["account"].address, view.caller.name, here)
    if view.session is None:
        return account
    return account + Markup(
        '\n<form method="post" action="{}/logout"><input type="hidden" name="csrf" value="{}">'
        "<button>Log out</button></form>"
    ).format(view.prefix, view.session.csrf)
