"""What stands on the status page, for people; `static/status.css` has its looks."""

from collections.abc import Iterable, Sequence
from typing import Any

from markupsafe import Markup, escape

_LINKS = (("/health", "Health"), ("/metrics", "Metrics"), ("/status?format=json", "As JSON"))


def status_main(facts: dict[str, Any], prefix: str) -> Markup:
    """What stands in the page's <main>; `prefix` is the path of the gateway's root."""
    health = facts["health"]
    state = "well" if health["ok"] else f"not well: {health['failing']}"
    links = Markup(" ").join(
        Markup('<a href="{}{}">{}</a>').format(prefix, address, title) for address, title in _LINKS
    )
    head = Markup(
        '<div class="head"><h1>Status</h1><span class="{}">{}</span>'
        '<span class="soft">version {}, up {}, {} processes</span><span class="links">{}</span></div>'
    ).format(
        "good" if health["ok"] else "bad",
        state,
        facts["version"],
        _duration(facts["up_seconds"]),
        facts["processes"],
        links,
    )
    return head + Markup("").join(_sections(facts))


def _sections(facts: dict[str, Any]) -> Iterable[Markup]:
    parts = [[p["name"], "answers" if p["ok"] else "fails", p["detail"]] for p in facts["health"]["parts"]]
    now = [[_gauge_name(g), g["value"]] for g in facts["now"]]
    errors = [
        [e.get("time"), e.get("status"), e.get("error"), e.get("method"), e.get("route"), e.get("request")]
        for e in facts["recent_errors"]
    ]
    settings = [[s["name"], s["value"], "set" if s["set"] else ""] for s in facts["settings"]]
    yield Markup("<div class=grid>")
    yield _table("Health", ["part", "", ""], [*parts, *(["note", "", n] for n in facts["health"]["notes"])])
    yield _table("Now", ["", "value"], now)
    yield Markup("</div>")
    yield _of_rows("Traffic since the start", facts["traffic"])
    yield Markup("<div class=grid>")
    yield _of_rows("Caches", facts["cache"])
    yield _of_rows("HealthImaging", facts["upstream"])
    yield Markup("</div>")
    yield from _progress(facts["jobs"], facts["indexer"])
    yield _of_rows("Where time goes", facts["time"])
    yield _table("Recent errors", ["time", "status", "error", "method", "route", "request"], errors)
    yield _table("Settings", ["name", "value", ""], settings)


def _progress(jobs: dict[str, Any], indexer: dict[str, Any]) -> Iterable[Markup]:
    """Import jobs and the indexer; what is not known now says so."""
    yield _of_rows("Import jobs", jobs.get("jobs", ()), jobs.get("note"))
    yield _of_rows("Synchronisation of the index", indexer.get("syncs", ()), indexer.get("note"))
    if indexer.get("failing"):
        yield _of_rows(f"Not indexed: {indexer['failures']} image sets", indexer["failing"])


def _of_rows(title: str, rows: Sequence[dict[str, Any]], note: str | None = None) -> Markup:
    heads = [name.replace("_", " ") for name in rows[0]] if rows else []
    return _table(title, heads, [list(row.values()) for row in rows], note)


def _table(
    title: str, heads: Sequence[str], rows: Sequence[Sequence[Any]], note: str | None = None
) -> Markup:
    if not rows:
        return Markup("<section class=card><h2>{}</h2><p class=soft>{}</p></section>").format(
            title, note or "Nothing so far."
        )
    kinds = [
        "number" if all(isinstance(row[place], int | float | None) for row in rows) else ""
        for place in range(len(rows[0]))
    ]
    head = Markup("").join(
        Markup("<th class='{}'>{}</th>").format(kind, name) for kind, name in zip(kinds, heads, strict=True)
    )
    body = Markup("").join(
        Markup("<tr>{}</tr>").format(
            Markup("").join(_cell(kind, value) for kind, value in zip(kinds, row, strict=True))
        )
        for row in rows
    )
    return Markup(
        '<section class=card><h2>{0}</h2>{1}<div class=scroll role=region aria-label="{0}" tabindex=0>'
        "<table><thead><tr>{2}</tr></thead><tbody>{3}</tbody></table></div></section>"
    ).format(title, Markup("<p class=soft>{}</p>").format(note) if note else "", head, body)


def _cell(kind: str, value: Any) -> Markup:
    if kind:
        shown = "" if value is None else f"{value:,.10g}"
        return Markup("<td class=number>{}</td>").format(shown)
    mark = {"answers": "good", "fails": "bad"}.get(str(value), "name")
    return Markup("<td class={}>{}</td>").format(mark, escape("" if value is None else value))


def _gauge_name(gauge: dict[str, Any]) -> str:
    labels = " ".join(gauge["labels"].values())
    return f"{gauge['name'].replace('_', ' ')} {labels}".strip()


def _duration(seconds: int) -> str:
    days, rest = divmod(int(seconds), 86400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {left} s" if minutes else f"{left} s"
