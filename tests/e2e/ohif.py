"""OHIF's built viewer on a loopback port, driven in Chromium by `javascript/ohif.mjs`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from .node import told_by

LASTS = 400
"""Seconds that one drive may take."""

OF_OHIF = (
    # its OpenJPH throws on a part of a codestream while the rest is on its way; then it decodes again
    "_setThrew is not defined",
)
"""Errors on its console that are its own."""

_SOURCE = "@ohif/extension-default.dataSourcesModule.dicomweb"


def configuration(base: str) -> str:
    """`app-config.js` for one DICOMweb server, as the README's table and OHIF's own configuration have it."""
    source = {
        "friendlyName": "gateway",
        "name": "gateway",
        "qidoRoot": base,
        "wadoRoot": base,
        "wadoUriRoot": base,
        "qidoSupportsIncludeField": True,
        "imageRendering": "wadors",
        "thumbnailRendering": "wadors",
        "enableStudyLazyLoad": True,
        "supportsFuzzyMatching": True,
        "supportsWildcard": True,
        "singlepart": "bulkdata,video,pdf",
        "bulkDataURI": {"enabled": True},
        "omitQuotationForMultipartRequest": True,
    }
    config = {
        "routerBasename": None,
        "extensions": [],
        "modes": [],
        "customizationService": [{"ohif.tours": {"$set": []}}],
        "showStudyList": True,
        "maxNumberOfWebWorkers": 2,
        "showWarningMessageForCrossOrigin": False,
        "showCPUFallbackMessage": False,
        "strictZSpacingForVolumeViewport": True,
        "investigationalUseDialog": {"option": "never"},
        "defaultDataSourceName": "gateway",
        "dataSources": [{"namespace": _SOURCE, "sourceName": "gateway", "configuration": source}],
    }
    return f"window.config = {json.dumps(config)};"


class _Viewer(SimpleHTTPRequestHandler):
    """Files of the viewer; every other address is the viewer itself, whose routes are its own."""

    protocol_version = "HTTP/1.1"
    config = b""

    def do_GET(self) -> None:
        if self.path.startswith("/app-config.js"):
            self.send_response(200)
            self.send_header("Content-Type", "text/javascript")
            self.send_header("Content-Length", str(len(self.config)))
            self.end_headers()
            self.wfile.write(self.config)
            return
        if not Path(self.translate_path(self.path)).is_file():
            self.path = "/index.html"
        super().do_GET()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def served(viewer: Path, base: str) -> Iterator[str]:
    """The root URL of the viewer, configured for the DICOMweb server at `base`."""
    handler = type("Viewer", (_Viewer,), {"config": configuration(base).encode()})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(viewer))) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def drive(node: str, task: dict[str, Any]) -> dict[str, Any]:
    """What `ohif.mjs` saw; what it takes and gives stands there."""
    return told_by(node, "ohif.mjs", task, LASTS)
