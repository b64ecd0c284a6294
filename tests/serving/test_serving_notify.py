from __future__ import annotations

import os
import socket

import pytest

from serving import notify


@pytest.mark.parametrize("named", ["file", "abstract"])
def test_systemd_hears_of_the_start_and_of_the_stop(tmp_path, monkeypatch, named):
    name = f"sparnet-test-{os.getpid()}"
    address = str(tmp_path / "s") if named == "file" else f"@{name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.settimeout(10)
        systemd.bind(address if named == "file" else f"\0{name}")
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        notify.ready()
        notify.stopping()
        assert [systemd.recv(100), systemd.recv(100)] == [b"READY=1", b"STOPPING=1"]


def test_without_systemd_nothing_is_told(monkeypatch, capsys):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify.ready()
    assert capsys.readouterr().err == ""


def test_a_systemd_that_does_not_listen_is_a_warning_and_no_end(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    notify.ready()
    assert capsys.readouterr().err.startswith("warning: systemd was not told READY=1 (No such")
