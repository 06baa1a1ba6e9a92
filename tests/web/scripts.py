"""Scripts of our pages, run by Node."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dicomweb_gateway.web.static_files import FOLDER

_BROWSER = """
globalThis.document = { documentElement: { dataset: { root: "/x", bases: "/aetitle /other" } } };
globalThis.location = new URL("http://gateway.test/x/pages/studies");
globalThis.navigator ??= {};
globalThis.ImageData = class {
  constructor(columns, rows) { this.data = new Uint8ClampedArray(columns * rows * 4); }
};
"""

Run = Callable[..., Any]
"""`run(imports, body)`: what `body`, which may await, returns, as JSON."""


def scripts_in(folder: Path) -> Run:
    """What runs scripts out of `folder`, into which they are copied; skips where there is no Node."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on this machine")
    shutil.copytree(FOLDER, folder, dirs_exist_ok=True)
    Path(folder, "package.json").write_text('{"type": "module"}')

    def result(imports: dict[str, str], body: str) -> Any:
        lines = [f'const {{ {names} }} = await import("./{file}");' for file, names in imports.items()]
        told = f"process.stdout.write(JSON.stringify(await (async () => {{ {body} }})()));"
        Path(folder, "main.js").write_text("\n".join((_BROWSER, *lines, told)))
        done = subprocess.run(
            [node, "main.js"], cwd=folder, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return result
