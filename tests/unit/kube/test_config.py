"""Kubeconfig files: merged, followed and refused as kubectl does, and never quoted."""

from __future__ import annotations

import base64
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from egressctl.errors import InvalidInput, NoConfiguration
from egressctl.kube import config
from egressctl.kube import official as official_modules
from egressctl.kube.kubeconfig import ConnectOptions, impersonation, merge_kubeconfigs, read_kubeconfig, resolve_context
from examples import EVERYTHING
from mutations import mutate


def kubeconfig(name: str, server: str = "https://a.example:6443", /, **user: Any) -> dict[str, Any]:
    return {
        "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": f"ns-{name}"}}],
        "clusters": [{"name": name, "cluster": {"server": server}}],
        "users": [{"name": name, "user": user}],
    }


def merged(*documents: dict[str, Any]) -> dict[str, Any]:
    return merge_kubeconfigs([(Path(f"/etc/{index}/config"), one) for index, one in enumerate(documents)])


def test_the_first_file_wins_each_name_and_the_current_context() -> None:
    both = merged(kubeconfig("a", token="first"), kubeconfig("b") | {"users": [{"name": "a", "user": {"token": "second"}}]})
    assert both["current-context"] == "a"
    assert both["user"]["a"] == {"token": "first"}
    assert set(both["context"]) == {"a", "b"}


def test_a_relative_path_starts_at_the_folder_of_its_own_file() -> None:
    second = kubeconfig("b", **{"client-certificate": "pki/b.crt", "tokenFile": "/run/token"})
    user = merged(kubeconfig("a"), second)["user"]["b"]
    assert user == {"client-certificate": "/etc/1/pki/b.crt", "tokenFile": "/run/token"}


def test_data_wins_over_a_file_and_a_token_file_over_a_token() -> None:
    one = kubeconfig("a", **{"client-key": "k", "client-key-data": "aw==", "token": "t", "tokenFile": "f"})
    assert merged(one)["user"]["a"] == {"client-key-data": "aw==", "tokenFile": "/etc/0/f"}


def test_a_plugin_named_by_a_path_is_found_beside_its_kubeconfig_and_one_named_bare_is_left_to_the_path() -> None:
    users = merged(kubeconfig("a", exec={"command": "./bin/login"}), kubeconfig("b", exec={"command": "aws"}))["user"]
    assert (users["a"]["exec"]["command"], users["b"]["exec"]["command"]) == ("/etc/0/bin/login", "aws")


def test_the_context_gives_server_user_and_namespace() -> None:
    context, cluster, user = resolve_context(merged(kubeconfig("a", token="t")), ConnectOptions())
    assert (context, cluster, user) == (
        {"name": "a", "namespace": "ns-a"},
        {"server": "https://a.example:6443"},
        {"name": "a", "token": "t"},
    )


def test_flags_win_over_the_context() -> None:
    both = merged(kubeconfig("a", token="t"), kubeconfig("b", "https://b.example", token="u"))
    _, cluster, user = resolve_context(both, ConnectOptions(context="a", cluster="b", user="b"))
    assert (cluster["server"], user["token"]) == ("https://b.example", "u")
    _, cluster, _ = resolve_context(both, ConnectOptions(server="https://c.example/"))
    assert cluster["server"] == "https://c.example"


def test_a_token_flag_leaves_no_certificate_or_plugin_that_would_win_over_it() -> None:
    user: dict[str, Any] = {"client-key-data": "aw==", "exec": {"command": "x"}, "as": "dev"}
    one = merged(kubeconfig("a", **user))
    assert resolve_context(one, ConnectOptions(token="flag"))[2] == {"name": "a", "token": "flag", "as": "dev"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (ConnectOptions(context="c"), ["context 'c'", "a, b"]),
        (ConnectOptions(cluster="c"), ["cluster 'c'", "a, b"]),
        (ConnectOptions(user="c"), ["user 'c'", "a, b"]),
    ],
)
def test_a_name_that_is_not_there_is_answered_with_those_that_are(options: ConnectOptions, words: list[str]) -> None:
    with pytest.raises(NoConfiguration) as refused:
        resolve_context(merged(kubeconfig("b"), kubeconfig("a")), options)
    assert all(word in str(refused.value) for word in words)


def test_without_a_current_context_the_choice_is_named() -> None:
    with pytest.raises(NoConfiguration, match="no current context; there are: a"):
        resolve_context(merged(kubeconfig("a") | {"current-context": ""}), ConnectOptions())


@pytest.mark.parametrize(
    "url", ["", "a.example:6443", "ftp://a", "https://", "https://a:port", "https://u:secret@a", "https://a b"]
)
def test_a_server_that_is_no_url_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(NoConfiguration, match="must be a URL") as refused:
        resolve_context(merged(kubeconfig("a", url)), ConnectOptions())
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("token", 12345678, "users[0].user.token must be a string"),
        ("as-groups", "admins", "users[0].user.as-groups must be a list"),
        ("exec", "aws", "users[0].user.exec must be a mapping"),
        ("exec", {}, "users[0].user.exec.command is missing"),
        ("exec", {"command": ["aws"]}, "users[0].user.exec.command is a list, and must be text"),
        ("exec", {"command": "aws", "args": [5]}, "users[0].user.exec.args[0] is a number, and must be text"),
        ("exec", {"command": "aws", "env": [{"value": "x"}]}, "users[0].user.exec.env[0].name is missing"),
        ("auth-provider", {"name": "oidc", "config": []}, "users[0].user.auth-provider.config is a list, and must be an object"),
        ("as-groups", [["a"]], "users[0].user.as-groups[0] is a list, and must be text"),
        ("as-user-extra", {"a": 5}, "users[0].user.as-user-extra.a is a number, and must be a list"),
    ],
)
def test_a_field_of_the_wrong_kind_is_named_with_its_file(field: str, value: Any, words: str) -> None:
    with pytest.raises(NoConfiguration) as refused:
        merged(kubeconfig("a", **{field: value}))
    assert str(refused.value).startswith("/etc/0/config: ")
    assert words in str(refused.value)
    assert "12345678" not in str(refused.value)


@pytest.mark.parametrize("broken", [{"users": "x"}, {"users": [{}]}, {"users": ["x"]}, {"users": [{"name": "a", "user": "x"}]}])
def test_a_kubeconfig_of_another_shape_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(NoConfiguration, match=r"users\[0\]"):
        merged(broken)


@pytest.mark.parametrize("current", [1.5, 7, True, ["a"], {"a": 1}])
def test_a_current_context_is_a_string(current: object) -> None:
    with pytest.raises(NoConfiguration, match="/etc/0/config: current-context must be a string: put it in quotes"):
        merged({**kubeconfig("a"), "current-context": current})


NUMBER = int(os.environ.get("EGRESSCTL_TEST_MUTATIONS") or (2000 if EVERYTHING else 50))
WHOLE = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "a",
    "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a", "namespace": "n"}}, {"name": "b", "context": {}}],
    "clusters": [
        {
            "name": "a",
            "cluster": {
                "server": "https://127.0.0.1:1",
                "certificate-authority-data": "eA==",
                "insecure-skip-tls-verify": False,
                "tls-server-name": "a.example",
                "proxy-url": "http://127.0.0.1:1",
                "extensions": [{"name": "x", "extension": {"a": 1}}],
            },
        }
    ],
}
USERS: tuple[dict[str, Any], ...] = (
    {"token": "t", "as": "u", "as-uid": "1", "as-groups": ["g"], "as-user-extra": {"a": ["b"]}},
    {"tokenFile": "/etc/hostname", "username": "u", "password": "p"},
    {"client-certificate-data": "eA==", "client-key-data": "eA=="},
    {
        "exec": {
            "apiVersion": "v1",
            "command": "not-installed",
            "args": ["a"],
            "env": [{"name": "a", "value": "b"}],
            "provideClusterInfo": True,
        }
    },
    {"auth-provider": {"name": "oidc", "config": {"id-token": "a.b.c", "client-id": "c"}}},
)


def test_whatever_a_kubeconfig_holds_it_is_used_or_refused(tmp_path: Path) -> None:
    """EGRESSCTL_TEST_SEED gives other changes, EGRESSCTL_TEST_MUTATIONS another number of them."""
    seed = int(os.environ.get("EGRESSCTL_TEST_SEED") or random.randrange(1 << 32))
    chance = random.Random(seed)
    path = tmp_path / "kubeconfig"
    for number in range(NUMBER):
        whole = {**WHOLE, "users": [{"name": "a", "user": chance.choice(USERS)}]}
        path.write_bytes(mutate(json.dumps(whole).encode(), chance))
        try:
            config.connect(ConnectOptions(kubeconfig=str(path), request_timeout=5.0)).close()
        except (NoConfiguration, InvalidInput):
            pass
        except Exception as bug:
            raise AssertionError(f"EGRESSCTL_TEST_SEED={seed}, number {number}: {path.read_bytes()[:2000]!r}") from bug


def test_broken_yaml_is_named_by_file_and_line_and_never_quoted(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text("apiVersion: v1\nusers:\n- name: a\n  token: hunter2: [\n")
    with pytest.raises(NoConfiguration) as refused:
        read_kubeconfig(file)
    assert str(refused.value) == f"{file}:4: not valid YAML"
    assert "hunter2" not in str(refused.value) + refused.value.hint


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"- a\n", b"kind: Pod\n", b"a: !!python/name:os.system x\n", b"[" * 30000])
def test_what_is_no_kubeconfig_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "config"
    file.write_bytes(content)
    with pytest.raises(NoConfiguration, match="config"):
        read_kubeconfig(file)


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NoConfiguration, match="is a directory"):
        read_kubeconfig(tmp_path)
    with pytest.raises(NoConfiguration, match="no such file"):
        read_kubeconfig(tmp_path / "none")


def test_the_kubeconfig_user_impersonates_all_that_it_says() -> None:
    user = {"as": "dev", "as-uid": "7", "as-groups": ["a,b", "c"], "as-user-extra": {"Scopes": ["x", "y"]}}
    assert impersonation(user, ConnectOptions()) == (
        ("Impersonate-User", "dev"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Group", "a,b"),
        ("Impersonate-Group", "c"),
        ("Impersonate-Extra-scopes", "x"),
        ("Impersonate-Extra-scopes", "y"),
    )


def test_flags_impersonate_instead_of_the_kubeconfig() -> None:
    options = ConnectOptions(as_user="ci", as_groups=("g",))
    assert impersonation({"as": "dev", "as-uid": "7"}, options) == (("Impersonate-User", "ci"), ("Impersonate-Group", "g"))


def test_a_group_alone_cannot_be_impersonated() -> None:
    with pytest.raises(InvalidInput, match="needs a user"):
        impersonation({"as": "dev"}, ConnectOptions(as_groups=("g",)))


def test_a_name_cannot_smuggle_a_header_in() -> None:
    with pytest.raises(InvalidInput, match="control character"):
        impersonation({}, ConnectOptions(as_user="dev\r\nImpersonate-Group: system:masters"))


def test_without_a_kubeconfig_the_lab_and_the_demo_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(NoConfiguration) as refused:
        config.connect(ConnectOptions())
    assert "egressctl demo" in refused.value.hint
    assert "--lab" in refused.value.hint


def test_a_missing_file_is_refused_where_it_was_asked_for_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    for options in (ConnectOptions(), ConnectOptions(kubeconfig=str(tmp_path / "none"))):
        with pytest.raises(NoConfiguration, match="none cannot be read"):
            config.connect(options)


def test_the_options_do_not_show_the_token() -> None:
    assert "hunter2" not in repr(ConnectOptions(token="hunter2"))


def token_of_openid_connect(expires: int) -> str:
    parts = ({"alg": "none"}, {"exp": expires})
    return ".".join([*(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts), "signature"])


def with_auth_provider(tmp_path: Path) -> ConnectOptions:
    token = token_of_openid_connect(4_000_000_000)
    provider = {"name": "oidc", "config": {"id-token": token, "idp-issuer-url": "https://issuer.example", "client-id": "x"}}
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(kubeconfig("a", **{"auth-provider": provider})))
    return ConnectOptions(kubeconfig=str(file))


def test_a_token_of_openid_connect_is_taken_from_its_auth_provider(tmp_path: Path) -> None:
    assert config.connect(with_auth_provider(tmp_path)).context == "a"


def test_an_auth_provider_whose_packages_are_left_out_is_told_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is in the single file, which can hold no compiled modules."""
    official = official_modules.load_official

    def without_compiled_modules(module: str) -> Any:
        if module == "kubernetes.config.kube_config":
            raise ModuleNotFoundError("No module named 'pydantic_core'", name="pydantic_core")
        return official(module)

    monkeypatch.setattr(config, "load_official", without_compiled_modules)
    with pytest.raises(NoConfiguration, match="auth-provider 'oidc' needs the Python package pydantic_core") as failure:
        config.connect(with_auth_provider(tmp_path))
    assert "credential plugin" in failure.value.hint


def with_certificate_of_its_server(tmp_path: Path) -> ConnectOptions:
    file = tmp_path / "kubeconfig"
    content = kubeconfig("a", token="t")
    content["clusters"][0]["cluster"]["certificate-authority-data"] = "bm8gUEVN"
    file.write_text(json.dumps(content))
    return ConnectOptions(kubeconfig=str(file))


def test_keys_are_put_into_memory_and_gone_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So a pod whose root is read-only, with no /tmp, reaches its API server."""
    memory = tmp_path / "memory"
    memory.mkdir()
    monkeypatch.setattr(config, "MEMORY", memory)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "not there"))
    with pytest.raises(NoConfiguration, match="PEM"):
        config.connect(with_certificate_of_its_server(tmp_path))
    assert not list(memory.iterdir())


def test_without_a_folder_for_keys_it_says_which_to_give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "MEMORY", tmp_path / "not there")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nor there"))
    with pytest.raises(NoConfiguration, match="no folder for certificates") as failure:
        config.connect(with_certificate_of_its_server(tmp_path))
    assert "TMPDIR" in failure.value.hint
