"""Who may use which folder of a cache: one gateway each, whatever they share."""

import os
import subprocess
import sys

import pytest

from dicomweb_gateway.service import cache_claim
from dicomweb_gateway.service.cache_claim import HOSTS, Claims, host_name, is_shared

MOUNTS = r"""
22 1 254:1 / / rw,relatime - ext4 /dev/root rw
30 22 0:31 / /mnt/efs rw - nfs4 fs-1.efs.eu-west-1.amazonaws.com:/ rw,vers=4.1
31 30 254:2 / /mnt/efs/local rw - xfs /dev/sdb rw
32 22 0:33 / /mnt/with\040blank rw - fuse.glusterfs server:/volume rw
33 22 0:34 / /overlay rw - overlay overlay rw
34 22 0:35 / /rootless rw - fuse.fuse-overlayfs fuse-overlayfs rw
""".strip()


@pytest.fixture
def claims():
    made = [Claims(), Claims(), Claims()]
    yield made
    for one in made:
        one.close()


@pytest.fixture
def shared(monkeypatch):
    """Every folder is on a shared file system."""
    monkeypatch.setattr(cache_claim, "is_shared", lambda _: True)


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("/mnt/efs", True),
        ("/mnt/efs/gateway/cache", True),
        ("/mnt/efs/local/cache", False),
        ("/mnt/efs2", False),
        ("/mnt/with blank/x", True),
        ("/overlay/x", False),
        ("/rootless/x", False),
        ("/var/cache", False),
    ],
)
def test_shared_file_systems_are_known(tmp_path, folder, expected):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert is_shared(cache_claim.Path(folder), mounts) is expected


def test_a_disk_of_this_machine_is_used_as_it_is(claims, tmp_path):
    assert claims[0].folder(tmp_path) == tmp_path
    assert claims[0].claim(tmp_path) == tmp_path
    assert claims[0].claim(tmp_path) == tmp_path
    assert claims[0].folder(tmp_path) == tmp_path


def test_further_gateways_get_folders_of_their_own(claims, tmp_path):
    found = [one.claim(tmp_path) for one in claims]
    assert len(set(found)) == 3
    assert claims[1].folder(tmp_path) == found[1] == tmp_path / HOSTS / host_name()


def test_what_was_let_go_is_taken_again(claims, tmp_path):
    first, second = (one.claim(tmp_path) for one in claims[:2])
    claims[0].close()
    claims[1].close()
    assert claims[2].claim(tmp_path) == first
    assert claims[0].claim(tmp_path) == second


@pytest.mark.usefixtures("shared")
def test_on_a_shared_file_system_each_host_has_its_own(claims, tmp_path, monkeypatch):
    here = claims[0].claim(tmp_path)
    assert here == tmp_path / HOSTS / host_name()
    monkeypatch.setattr(cache_claim, "host_name", lambda: "other")
    assert claims[1].claim(tmp_path) == tmp_path / HOSTS / "other"


@pytest.mark.usefixtures("shared")
def test_hosts_that_are_gone_leave_nothing(claims, tmp_path):
    hosts = tmp_path / HOSTS
    for name, age in (("gone", 8), ("resting", 3), ("running", 8)):
        (hosts / name / "frames").mkdir(parents=True)
        (hosts / name / ".gateway-lock").touch()
        os.utime(hosts / name / ".gateway-lock", (0, cache_claim.time.time() - age * 86_400))
    hold = "import fcntl,sys;f=open(sys.argv[1]);fcntl.flock(f,2);print('held',flush=True);sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", hold, str(hosts / "running" / ".gateway-lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        claims[0].claim(tmp_path)
        assert {folder.name for folder in hosts.iterdir()} == {"resting", "running", host_name()}
