"""What a fetcher is made of."""

import subprocess
import sys

CODE = """
import sys
import dicomweb_gateway.service.upstream
import dicomweb_gateway.frames.fetcher_process
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_a_fetcher_starts_without_what_only_web_processes_need():
    loaded = subprocess.run([sys.executable, "-c", CODE], capture_output=True, check=True, text=True).stdout
    assert {"pycurl", "imagecodecs"} <= set(loaded.split())
    assert not {"sqlalchemy", "flask", "waitress", "PIL"} & set(loaded.split())
