"""Response headers at little cost: werkzeug's own sets parse and write the whole header at each change."""

from flask import Response


def add_vary(response: Response, *names: str) -> None:
    """Name further request headers in Vary, each once (RFC 9110 12.5.5; dicomweb.md H-6)."""
    headers = response.headers
    held = next((value for name, value in headers if name.lower() == "vary"), None)
    if held is None:
        headers.add("Vary", ", ".join(names))
        return
    known = {name.strip().lower() for name in held.split(",")}
    new = [name for name in names if name.lower() not in known]
    if new:
        headers["Vary"] = ", ".join([held, *new])
