"""Names files of this machine in file URIs."""

from urllib.parse import unquote, urlsplit

from dicomweb_gateway.emulator.errors import InvalidRequest


def folder_of_uri(uri: str, name: str) -> str:
    """The absolute path in a `file:///folder/` URI; InvalidRequest, naming `name`, for anything else."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        parts = urlsplit("")
    local = parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path.startswith("/")
    if not local or parts.query or parts.fragment:
        raise InvalidRequest(f"{name} must be a file:///folder/ URI (this emulator has no S3)")
    path = unquote(parts.path, errors="surrogateescape")
    if "\0" in path:
        raise InvalidRequest(f"{name} must be a file:///folder/ URI without NUL")
    return path
