"""Caddy in front of a gateway, with the recipe of deploy/; nginx is run by other tests."""

import subprocess
from pathlib import Path

import pytest
import requests

from tests.databases import find_program
from tests.deploy.recipes import DEPLOY, command_of, start, stop
from tests.e2e.house import answers, free_port, wait_for


def test_caddy_passes_on_what_it_is_asked_and_drops_what_names_users(tmp_path: Path) -> None:
    caddy = find_program("caddy")
    if caddy is None:
        pytest.skip("no caddy on this machine")
    inside, outside, admin = free_port(), free_port(), free_port()
    recipe = (DEPLOY / "Caddyfile").read_text()
    # the recipe with other ports, and without the certificate that only a public name gets
    recipe = recipe.replace("127.0.0.1:8080", f"127.0.0.1:{inside}")
    recipe = recipe.replace("pacs.example.org {", f"http://127.0.0.1:{outside} {{")
    (tmp_path / "Caddyfile").write_text(f"{{\n\tadmin 127.0.0.1:{admin}\n}}\n{recipe}")
    home = {"XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path)}
    environment = {
        **home,
        "DATA_DIR": str(tmp_path / "data"),
        "PORT": str(inside),
        "AUTH_MODE": "proxy",
        "TRUSTED_PROXIES": "127.0.0.1",
        "HOST": "127.0.0.1",
        "AHI_ENDPOINT": "http://127.0.0.1:1",
        "AHI_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    gateway = start(
        command_of(["dicomweb-gateway", "serve"]), environment, tmp_path / "gateway.log", tmp_path
    )
    proxy = start(
        [caddy, "run", "--config", str(tmp_path / "Caddyfile"), "--adapter", "caddyfile"],
        home,
        tmp_path / "caddy.log",
        tmp_path,
    )
    root = f"http://127.0.0.1:{outside}"
    named = {"X-Forwarded-User": "anna", "X-Forwarded-Groups": "admins"}
    try:
        wait_for(lambda: answers(f"{root}/healthcheck"))
        assert requests.get(f"http://127.0.0.1:{inside}/aetitle/studies", headers=named, timeout=30).ok
        refused = requests.get(f"{root}/aetitle/studies", headers=named, timeout=30)
        assert refused.status_code == 401
        assert "max-age" in refused.headers["Strict-Transport-Security"]
    finally:
        codes = stop(proxy), stop(gateway)
    assert codes == (0, 0)


def test_the_recipe_is_one_that_caddy_takes(tmp_path: Path) -> None:
    caddy = find_program("caddy")
    if caddy is None:
        pytest.skip("no caddy on this machine")
    command = [caddy, "validate", "--config", str(DEPLOY / "Caddyfile"), "--adapter", "caddyfile"]
    home = {"XDG_DATA_HOME": str(tmp_path), "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    done = subprocess.run(command, env=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
