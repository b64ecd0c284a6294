from __future__ import annotations

import hashlib

import pytest

from sparnet import files


def test_a_failure_while_writing_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "weights"
    files.write_bytes(path, b"old")
    with pytest.raises(RuntimeError), files.replacing(path) as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_while_filling_a_folder_leaves_the_old_one(tmp_path):
    folder = tmp_path / "data"
    with files.replacing_folder(folder) as temporary:
        (temporary / "a").write_text("old")
    with pytest.raises(RuntimeError), files.replacing_folder(folder) as temporary:
        (temporary / "b").write_text("half")
        raise RuntimeError
    assert [path.name for path in folder.iterdir()] == ["a"]
    assert list(tmp_path.iterdir()) == [folder]


def test_a_replaced_folder_holds_only_the_new_files(tmp_path):
    for name in ("a", "b"):
        with files.replacing_folder(tmp_path / "data") as temporary:
            (temporary / name).write_text(name)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["b"]


def test_json_is_the_same_bytes_whatever_the_order_of_keys(tmp_path):
    files.write_json(tmp_path / "a", {"x": 1, "y": [1.5, None]})
    files.write_json(tmp_path / "b", {"y": [1.5, None], "x": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_json_refuses_nan_and_keeps_the_old_file(tmp_path):
    files.write_json(tmp_path / "a", {"x": 1})
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(tmp_path / "a", {"x": float("nan")})
    assert (tmp_path / "a").read_text() == '{\n  "x": 1\n}\n'


def test_sha256_is_that_of_the_content(tmp_path):
    (tmp_path / "a").write_bytes(b"faces")
    assert files.sha256(tmp_path / "a") == hashlib.sha256(b"faces").hexdigest()
