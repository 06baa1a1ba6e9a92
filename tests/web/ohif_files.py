"""A built OHIF in small: the forms of addresses in the files of OHIF 3.13, which is built for the root."""

from pathlib import Path

PAGE = (
    '<!doctype html><html><head><script>window.PUBLIC_URL="/"</script>'
    '<link rel="manifest" href="/manifest.json"><script src="/app-config.js"></script>'
    '<meta name="msapplication-config" content="/assets/browserconfig.xml">'
    '<script defer src="/app.bundle.0123456789abcdef.js"></script></head></html>'
)
FILES = {
    "index.html": PAGE,
    "app.bundle.0123456789abcdef.js": (
        '__webpack_require__.p = "/";\nimport("/dicom-microscopy-viewer/viewer.min.js");\nlet a = "/studies";'
    ),
    "app.bundle.css": "@font-face{src:url(/0123456789abcdef.woff2)}",
    "manifest.json": '{"start_url": "/", "icons": [{"src": "/assets/icon.png"}]}',
    "app-config.js": "window.config = {}",
    "0123456789abcdef.wasm": "\0asm",
    "assets/icon.png": "a picture",
    "_redirects": "/* /index.html 200",
    ".hidden": "secret",
    "app.bundle.0123456789abcdef.js.map": "{}",
}


def write_ohif(folder: Path) -> Path:
    """The folder of the package, with `dist` in it."""
    for name, text in FILES.items():
        file = folder / "dist" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder
