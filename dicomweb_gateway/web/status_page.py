"""The status page: one document of our own, without a script, for light and dark, wide and narrow."""

from collections.abc import Iterable, Sequence
from typing import Any

from markupsafe import Markup, escape

_STYLE = Markup("""
:root{color-scheme:light dark;--ink:#1b2733;--soft:#5b6b7a;--line:#d9e0e7;--back:#f5f7f9;--card:#fff;
--good:#17724a;--bad:#b3261e;--link:#0b5cad}
@media(prefers-color-scheme:dark){:root{--ink:#e3e9ef;--soft:#9aa8b5;--line:#2f3b47;--back:#12181e;
--card:#1a222b;--good:#5fd19b;--bad:#ff8a80;--link:#7ab8ff}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);font:15px/1.45 system-ui,sans-serif}
main,header{max-width:1180px;margin:0 auto;padding:0 16px}
header{padding-top:20px;display:flex;flex-wrap:wrap;gap:4px 16px;align-items:baseline}
h1{font-size:22px;margin:0}h2{font-size:16px;margin:0 0 8px}
.soft{color:var(--soft)}.good{color:var(--good);font-weight:600}.bad{color:var(--bad);font-weight:600}
a{color:var(--link)}nav a{margin-right:14px}
section{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:14px 16px;margin:14px 0}
.grid section{margin:0}
.grid{display:grid;gap:14px;margin:14px 0;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr))}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px}
th{font-weight:600;color:var(--soft);text-align:left}
th,td{padding:4px 10px 4px 0;border-bottom:1px solid var(--line);vertical-align:baseline}
tr:last-child td{border-bottom:0}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
code,.name{font:13px ui-monospace,monospace;overflow-wrap:anywhere}
td.name{min-width:8em}td.name:empty{min-width:0}td.name:first-child{min-width:13em}
""")
_LINKS = (("./", "Start"), ("health", "Health"), ("metrics", "Metrics"), ("status?format=json", "As JSON"))


def status_page(facts: dict[str, Any]) -> str:
    """The document."""
    health = facts["health"]
    state = "well" if health["ok"] else f"not well: {health['failing']}"
    up = _duration(facts["up_seconds"])
    links = Markup(" ").join(Markup('<a href="{}">{}</a>').format(href, text) for href, text in _LINKS)
    head = Markup(
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width,initial-scale=1">'
        '<meta http-equiv=refresh content=15><link rel=icon href="data:,">'
        "<title>dicomweb-gateway status</title><style>{}</style></head><body>"
        "<header><h1>dicomweb-gateway</h1><span class={}>{}</span>"
        "<span class=soft>version {}, up {}, {} processes</span><nav>{}</nav></header><main>"
    ).format(
        _STYLE,
        "good" if health["ok"] else "bad",
        state,
        facts["version"],
        up,
        facts["processes"],
        links,
    )
    return str(head + Markup("").join(_sections(facts)) + Markup("</main></body></html>"))


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
    yield _of_rows("Where time goes", facts["time"])
    yield _table("Recent errors", ["time", "status", "error", "method", "route", "request"], errors)
    yield _table("Settings", ["name", "value", ""], settings)


def _of_rows(title: str, rows: Sequence[dict[str, Any]]) -> Markup:
    heads = [name.replace("_", " ") for name in rows[0]] if rows else []
    return _table(title, heads, [list(row.values()) for row in rows])


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> Markup:
    if not rows:
        return Markup("<section><h2>{}</h2><p class=soft>Nothing so far.</p></section>").format(title)
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
        "<section><h2>{}</h2><div class=scroll><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>"
        "</div></section>"
    ).format(title, head, body)


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
