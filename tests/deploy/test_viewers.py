"""The ready files for viewers: OHIF is told what the gateway itself tells it, Weasis's links hold all."""

import importlib.util
import subprocess
import sys
from urllib.parse import unquote

import pytest

from dicomweb_gateway.web.viewer import ViewerLogin, configuration
from tests.deploy.recipes import DEPLOY

ROOT_URL = "https://pacs.example.org"
LOGIN = ViewerLogin("https://login.example.org/realms/imaging", "ohif", ("openid", "profile", "email"))
LINK = DEPLOY / "weasis" / "launch_link.py"


@pytest.mark.parametrize(("name", "login"), [("app-config.js", None), ("app-config-oidc.js", LOGIN)])
def test_ohifs_files_are_what_the_gateway_itself_tells_ohif(name: str, login: ViewerLogin | None) -> None:
    made = configuration(ROOT_URL, ("/aetitle",), login, mount="/")
    assert (DEPLOY / "ohif" / name).read_bytes() == made


def test_a_link_for_weasis() -> None:
    command = [sys.executable, str(LINK), f"{ROOT_URL}/aetitle", "studyUID=1.2.3", "--header", "token: abc"]
    link = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert link.startswith("weasis://%24dicom%3Ars%20")
    told = unquote(link.removeprefix("weasis://"))
    assert told == f'$dicom:rs --url "{ROOT_URL}/aetitle" -r "studyUID=1.2.3" -H "token: abc"'


@pytest.mark.parametrize("wanted", ["color=red", 'studyUID=1" -H "x'])
def test_what_is_no_key_or_would_add_commands_is_refused(wanted: str) -> None:
    spec = importlib.util.spec_from_file_location("launch_link", LINK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with pytest.raises(ValueError, match=r"keys are|quotation mark"):
        module.launch_link(ROOT_URL, [wanted])
