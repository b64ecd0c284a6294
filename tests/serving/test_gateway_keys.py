"""Keys: made, listed, revoked, and followed by a gateway that runs."""

from __future__ import annotations

import hashlib
import json
import os
import stat

import httpx
import pytest
from gateway_thread import running
from typer.testing import CliRunner, Result

from serving.cli import app
from serving.gateway import keys
from sparnet.errors import UserError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys.json"


def test_the_file_holds_the_hash_of_a_key_and_is_its_owners_alone(path):
    key = keys.add(path, "laptop", ["infer", "infer"])
    identity, secret = key.split(".")
    assert len(secret) >= 43
    assert secret not in path.read_text()
    [kept] = json.loads(path.read_text())["keys"]
    assert (kept["id"], kept["name"], kept["scopes"]) == (identity, "laptop", ["infer"])
    assert kept["sha256"] == hashlib.sha256(secret.encode()).hexdigest()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_root_adds_stays_the_servers_own(tmp_path):
    folder = tmp_path / "server"
    folder.mkdir()
    os.chown(folder, 4321, 4322)
    for name in ("first", "second"):
        keys.add(folder / "keys.json", name, ["infer"])
        status = (folder / "keys.json").stat()
        assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (4321, 4322, 0o600)


def test_the_commands_make_list_and_revoke(path):
    def command(*words: str) -> Result:
        return CliRunner().invoke(app, ["keys", *words, "--keys", str(path)])

    made = command("add", "laptop", "--scope", "infer", "--scope", "admin")
    identity = made.output.split(".")[0]
    assert command("list").output.split() == [identity, *keys_columns(path)]
    assert command("revoke", identity).exit_code == 0
    assert f"no key has the id {identity}" in str(command("revoke", identity).exception)


def keys_columns(path) -> list[str]:
    [key] = keys.read(path)
    return [*f"{key.created:%Y-%m-%d %H:%M}".split(), "admin,infer", "laptop"]


def test_a_lent_key_goes_at_the_end_and_leaves_those_of_others(path):
    kept = keys.add(path, "laptop", ["infer"])
    with keys.lent(path, "local-a", ["infer"]) as first, keys.lent(path, "local-b", ["admin"]):
        ring = keys.KeyRing(path)
        assert [key.name for key in keys.read(path)] == ["laptop", "local-a", "local-b"]
        assert ring.find(first).scopes == ("infer",)
    assert [key.id for key in keys.read(path)] == [kept.partition(".")[0]]


def test_a_lent_key_that_a_killed_process_left_goes_with_the_next_start(path):
    left = keys.add(path, "local-a", ["infer"])
    with keys.lent(path, "local-a", ["infer"]):
        assert keys.KeyRing(path).find(left) is None
    assert keys.read(path) == ()


@pytest.mark.parametrize("name", ["", "a b", "a\nb", "x" * 65, "<b>"])
def test_a_name_that_could_harm_a_log_is_refused(path, name):
    with pytest.raises(UserError, match="a name has 1 to 64"):
        keys.add(path, name, ["infer"])
    assert not path.exists()


def test_a_ring_knows_the_whole_key_only(path):
    key = keys.add(path, "laptop", ["infer"])
    ring = keys.KeyRing(path)
    identity, _, secret = key.partition(".")
    assert ring.find(key).name == "laptop"
    for wrong in ("", ".", identity, f"{identity}.", secret, key[:-1], key + "x"):
        assert ring.find(wrong) is None
    assert ring.find("000000000000.") is None


def test_a_file_that_others_can_open_is_refused(path):
    keys.add(path, "laptop", ["infer"])
    path.chmod(0o640)
    with pytest.raises(UserError, match="others can open it; chmod 600"):
        keys.KeyRing(path)


def test_a_damaged_file_is_named_and_does_not_lock_out_those_who_are_known(path, caplog):
    key = keys.add(path, "laptop", ["infer"])
    ring = keys.KeyRing(path)
    path.write_text('{"keys": [{"id": "x"}]}')
    assert ring.find(key) is not None
    assert ring.find(key) is not None
    [told] = caplog.messages
    assert "keys.json: keys.0." in told


def test_keys_change_without_a_restart(tmp_path):
    with running(tmp_path, "http://127.0.0.1:9") as gateway:

        def status(key: str) -> int:
            headers = {"Authorization": f"Bearer {key}"}
            return gateway.client.get("/v1/models", headers=headers).status_code

        assert status(gateway.key) == 200
        successor = keys.add(gateway.keys, "test", ["infer"])
        assert (status(gateway.key), status(successor)) == (200, 200)
        keys.revoke(gateway.keys, gateway.key.split(".")[0])
        assert (status(gateway.key), status(successor)) == (401, 200)
        gateway.keys.write_text("damaged")
        assert status(successor) == 200
        gateway.keys.unlink()
        assert status(successor) == 401


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer wrong", "Basic {key}", "{key}", "Bearer {key}x"],
)
@pytest.mark.parametrize("path", ["/v1/enhance", "/v1/faces?model=nothing", "/v1/models"])
def test_without_a_key_nothing_is_said_but_that(closed_gateway, authorization, path):
    value = authorization and authorization.format(key=closed_gateway.key)
    headers = {} if value is None else {"Authorization": value}
    method = "GET" if path == "/v1/models" else "POST"
    url = f"http://127.0.0.1:{closed_gateway.port}{path}"
    answer = httpx.request(method, url, headers=headers, content=b"x" * 5000, trust_env=False)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_key_opens_what_its_scopes_say(closed_gateway):
    admin = keys.add(closed_gateway.keys, "admin", ["admin"])
    headers = {"Authorization": f"Bearer {admin}"}
    answer = closed_gateway.client.post("/v1/enhance", content=b"", headers=headers)
    assert answer.status_code == 403
    assert "scope infer" in answer.json()["detail"]
    assert closed_gateway.client.get("/metrics", headers=headers).status_code == 200
    assert closed_gateway.client.get("/metrics").status_code == 403


@pytest.fixture(scope="module")
def closed_gateway(tmp_path_factory):
    """Behind it there is nothing, so nothing may get that far."""
    with running(tmp_path_factory.mktemp("gateway"), "http://127.0.0.1:9") as gateway:
        yield gateway
