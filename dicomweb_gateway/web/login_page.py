"""The pages around the login: the form, what went wrong, and what is said after the logout."""

from markupsafe import Markup

from dicomweb_gateway.web.page_view import PageView


def login_main(
    view: PageView, wanted: str, token: str | None, provider: str | None, problem: str | None
) -> Markup:
    """The ways in: a form where `token` is what it must hold, a link where `provider` is its address."""
    parts = [Markup("<h1>Log in</h1>")]
    if problem is not None:
        parts.append(Markup('<p class="bad" role="alert">{}</p>').format(problem))
    if token is not None:
        parts.append(
            Markup(
                '<form method="post" action="{}/login">\n'
                '<input type="hidden" name="csrf" value="{}"><input type="hidden" name="next" value="{}">\n'
                '<label>User name<input name="name" autocomplete="username" autocapitalize="none" '
                'spellcheck="false" required maxlength="255" autofocus></label>\n'
                '<label>Password<input name="password" type="password" autocomplete="current-password" '
                'required maxlength="1024"></label>\n<button class="main">Log in</button>\n</form>'
            ).format(view.prefix, token, wanted)
        )
    if provider is not None:
        parts.append(
            Markup('<p><a class="button{}" href="{}">Log in with your organisation</a></p>').format(
                "" if token is not None else " main", provider
            )
        )
    if token is None and provider is None:
        parts.append(Markup("<p>This gateway has no login for browsers.</p>"))
    return _card(Markup("\n").join(parts))


def problem_main(view: PageView, problem: str) -> Markup:
    """What kept somebody from coming in, with the way to try again."""
    return _card(
        Markup(
            '<h1>You are not logged in</h1>\n<p class="bad" role="alert">{}</p>\n'
            '<p><a class="button main" href="{}/login">Try again</a></p>'
        ).format(problem, view.prefix)
    )


def left_main(view: PageView, provider: str | None) -> Markup:
    """After the logout; `provider` is the address of the logout there."""
    also = Markup()
    if provider is not None:
        also = Markup('<p><a href="{}">Log out at your organisation too</a></p>\n').format(provider)
    return _card(
        Markup(
            '<h1>You have logged out</h1>\n{}<p><a class="button main" href="{}/login">Log in again</a></p>'
        ).format(also, view.prefix)
    )


def _card(inside: Markup) -> Markup:
    return Markup('<section class="card narrow">\n{}\n</section>').format(inside)
