from __future__ import annotations

import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joblib import Parallel, delayed

from sparnet.data.shards import ShardReader, ShardWriter
from sparnet.errors import UserError

members = st.dictionaries(
    st.text(st.characters(codec="utf-8", exclude_characters="\0\\"), min_size=1, max_size=20),
    st.binary(max_size=50),
    max_size=12,
)


def write(folder: Path, content: dict[str, bytes], capacity: int = 3) -> dict[str, str]:
    """Write shards and return each member's shard."""
    folder.mkdir(exist_ok=True)
    with ShardWriter(folder, "shard", capacity) as writer:
        return {name: writer.add(name, data) for name, data in content.items()}


@given(members, st.integers(1, 5))
def test_what_is_written_is_read(
    tmp_path_factory, content: dict[str, bytes], capacity: int
) -> None:
    folder = tmp_path_factory.mktemp("shards")
    places = write(folder, content, capacity)
    reader = ShardReader(folder)
    assert {name: reader.read(shard, name) for name, shard in places.items()} == content
    assert len(list(folder.iterdir())) == -(-len(content) // capacity)


def test_the_same_members_give_the_same_bytes(tmp_path: Path) -> None:
    content = {f"{index}.png": bytes([index]) * index for index in range(7)}
    for name in ("a", "b"):
        write(tmp_path / name, content)
    for shard in sorted(path.name for path in (tmp_path / "a").iterdir()):
        assert (tmp_path / "a" / shard).read_bytes() == (tmp_path / "b" / shard).read_bytes()


def test_shards_are_ordinary_zip_files(tmp_path: Path) -> None:
    write(tmp_path, {"a/b.png": b"data"})
    with zipfile.ZipFile(tmp_path / "shard-00000.zip") as archive:
        assert archive.testzip() is None
        assert archive.read("a/b.png") == b"data"


def test_a_name_is_written_once(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, "shard", 5) as writer:
        writer.add("a", b"1")
        with pytest.raises(ValueError, match=r"shard-00000\.zip already holds a"):
            writer.add("a", b"2")


def test_processes_and_threads_share_a_reader(tmp_path: Path) -> None:
    content = {str(index): bytes([index]) * 1000 for index in range(40)}
    places = write(tmp_path, content, capacity=10)
    reader = ShardReader(tmp_path)
    tasks = [(shard, name) for name, shard in places.items()]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda task: reader.read(*task), tasks)) == list(content.values())
    results = Parallel(n_jobs=2)(delayed(reader.read)(*task) for task in tasks)
    assert results == list(content.values())


def test_a_rewritten_shard_is_noticed(tmp_path: Path) -> None:
    reader = ShardReader(tmp_path)
    write(tmp_path, {"a": b"old"})
    assert reader.read("shard-00000.zip", "a") == b"old"
    write(tmp_path, {"b": b"longer", "a": b"new!"})
    assert reader.read("shard-00000.zip", "a") == b"new!"


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"a": b"data"})
    reader = ShardReader(tmp_path)
    with pytest.raises(UserError, match=r"shard-00000\.zip: has no member b"):
        reader.read("shard-00000.zip", "b")
    with pytest.raises(UserError, match=r"shard-00009\.zip: cannot be read"):
        reader.read("shard-00009.zip", "a")


@pytest.mark.parametrize("keep", [0, 10, 40, 60])
def test_a_shard_cut_short_is_damaged(tmp_path: Path, keep: int) -> None:
    write(tmp_path, {"a": b"data"})
    path = tmp_path / "shard-00000.zip"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match="damaged"):
        ShardReader(tmp_path).read(path.name, "a")


def test_a_flipped_bit_is_damage(tmp_path: Path) -> None:
    write(tmp_path, {"a": b"data"})
    path = tmp_path / "shard-00000.zip"
    path.write_bytes(path.read_bytes().replace(b"data", b"dbta"))
    with pytest.raises(UserError, match="a is damaged"):
        ShardReader(tmp_path).read(path.name, "a")
