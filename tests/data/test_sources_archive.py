from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from sparnet.config import ArchiveLimits
from sparnet.data.sources.archive import Refused, clean_name, open_archive
from sparnet.errors import UserError

Members = Sequence[tuple[str, bytes]]
Pack = Callable[[Members], bytes]
GOOD: Members = [("a.png", b"first"), ("b/c.JPG", b"second"), ("b/notes.txt", b"text")]


def zipped(members: Members, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as archive:
        for name, data in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = compression
            archive.writestr(info, data)
    return packed.getvalue()


def tarred(members: Members, mode: str = "w", **of_member: object) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in of_member.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(data))
    return packed.getvalue()


PACKS: dict[str, Pack] = {
    "zip": zipped,
    "stored zip": lambda members: zipped(members, zipfile.ZIP_STORED),
    "lzma zip": lambda members: zipped(members, zipfile.ZIP_LZMA),
    "tar": tarred,
    "tar.gz": lambda members: tarred(members, "w:gz"),
    "tar.bz2": lambda members: tarred(members, "w:bz2"),
    "tar.xz": lambda members: tarred(members, "w:xz"),
}
every_pack = pytest.mark.parametrize("pack", PACKS.values(), ids=PACKS.keys())
zip_and_tar = pytest.mark.parametrize("pack", [zipped, tarred], ids=["zip", "tar"])


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., dict[str, bytes]]:
    """read(packed, **limits): the pictures in an archive with these bytes."""

    def opened(packed: bytes, **limits: int) -> dict[str, bytes]:
        path = tmp_path / "blob"
        path.write_bytes(packed)
        holder = open_archive(path, "faces", ArchiveLimits(**limits))
        return dict(holder.read(set(holder.names)))

    return opened


def refused(read: Callable[..., object], packed: bytes, line: str, **limits: int) -> None:
    with pytest.raises(UserError, match=rf"^faces: refused: .*{line}") as told:
        read(packed, **limits)
    assert "\n" not in str(told.value)


def attempt(read: Callable[..., dict[str, bytes]], packed: bytes) -> dict[str, bytes] | None:
    """The pictures, or None where they are refused in one line."""
    try:
        return read(packed)
    except UserError as error:
        told = str(error)
    assert "\n" not in told
    return None


@every_pack
def test_the_pictures_are_read_and_the_rest_is_counted(read, pack: Pack, capsys) -> None:
    hidden = [("__MACOSX/._a.png", b"x"), (".git/d.png", b"x")]
    assert read(pack([*GOOD, *hidden])) == {"a.png": b"first", "b/c.JPG": b"second"}
    assert "faces: 3 files passed over: no pictures" in capsys.readouterr().err


@every_pack
def test_only_the_wanted_are_read_in_the_order_of_the_archive(tmp_path, pack: Pack) -> None:
    (tmp_path / "blob").write_bytes(pack([("b.png", b"b"), ("a.png", b"a"), ("c.png", b"c")]))
    holder = open_archive(tmp_path / "blob", "faces", ArchiveLimits(), "x/")
    assert list(holder.names) == ["x/b.png", "x/a.png", "x/c.png"]
    assert list(holder.read({"x/c.png", "x/b.png"})) == [("x/b.png", b"b"), ("x/c.png", b"c")]


@zip_and_tar
@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("../a.png", "leads out"),
        ("b/../../a.png", "leads out"),
        ("b/../a.png", "leads out"),
        ("/etc/a.png", "absolute"),
        ("C:/a.png", "names a drive"),
        ("c:a.png", "names a drive"),
        ("..\\a.png", "leads out"),
        ("\\\\server\\a.png", "absolute"),
        ("a\n.png", "control characters"),
    ],
)
def test_a_member_that_leads_outside_refuses_the_archive(read, pack: Pack, name, line) -> None:
    refused(read, pack([*GOOD, (name, b"x")]), line)


@zip_and_tar
@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("twin", ["a.png", "./a.png", "b\\c.JPG"])
def test_twins_refuse_the_archive(read, pack: Pack, twin: str) -> None:
    refused(read, pack([*GOOD, (twin, b"x")]), "two members are called")


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_in_a_tar_refuse_it(read, kind: bytes) -> None:
    packed = tarred([("a.png", b"")], type=kind, linkname="/etc/passwd")
    refused(read, packed, "is a link or a device")


@pytest.mark.parametrize("mode", [0o120777, 0o020600, 0o010600])
def test_links_and_devices_in_a_zip_refuse_it(read, mode: int) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        info = zipfile.ZipInfo("a.png")
        info.external_attr = mode << 16
        archive.writestr(info, "/etc/passwd")
    refused(read, packed.getvalue(), "is a link or a device")


def test_an_encrypted_member_refuses_the_zip(read) -> None:
    packed = bytearray(zipped([("a.png", b"data")]))
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        packed[packed.index(header) + flags] |= 1
    refused(read, bytes(packed), "encrypted")


def test_a_way_of_packing_that_is_unknown_refuses_the_zip(read) -> None:
    packed = bytearray(zipped([("a.png", b"data")]))
    for header, method in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        packed[packed.index(header) + method] = 98
    refused(read, bytes(packed), "packed unusually")


def test_a_name_cut_by_a_zero_byte_refuses_the_zip(read) -> None:
    packed = zipped([("a.pngX.txt", b"data")]).replace(b"a.pngX.txt", b"a.png\0.txt")
    refused(read, packed, "control characters")


@every_pack
def test_damage_anywhere_is_told_and_never_read_as_a_picture(read, pack: Pack) -> None:
    members = [(f"{index}.png", bytes([index]) * 3000) for index in range(3)]
    packed = pack(members)
    whole = dict(members)
    for cut in range(0, len(packed), max(1, len(packed) // 60)):
        assert attempt(read, packed[:cut]) in (whole, None)


@pytest.mark.parametrize("name", ["zip", "stored zip", "tar.gz", "tar.bz2", "tar.xz"])
def test_a_changed_byte_is_told_where_the_archive_has_a_checksum(read, name: str) -> None:
    members = [(f"{index}.png", bytes([index]) * 3000) for index in range(3)]
    packed = PACKS[name](members)
    for place in range(0, len(packed), max(1, len(packed) // 60)):
        changed = bytearray(packed)
        changed[place] ^= 0x55
        taken = attempt(read, bytes(changed)) or {}
        assert set(taken.values()) <= set(dict(members).values())


def test_a_damaged_header_in_the_middle_of_a_tar_does_not_end_it_silently(read) -> None:
    packed = bytearray(tarred([("a.png", b"1"), ("b.png", b"2"), ("c.png", b"3")]))
    packed[1024 + 148] ^= 0x01
    refused(read, bytes(packed), "damaged or cut off")


@every_pack
def test_too_many_members_refuse_the_archive(read, pack: Pack) -> None:
    packed = pack([(f"{index}.png", b"x") for index in range(6)])
    assert len(read(packed, members=6)) == 6
    refused(
        read, packed, r"more than 5 members; raise download\.archive_limits\.members", members=5
    )


@every_pack
def test_a_large_member_refuses_the_archive_unread(read, pack: Pack) -> None:
    packed = pack([("a.png", bytes(1_100_000))])
    refused(read, packed, r"a\.png is larger than 1 MB; .*member_mb", member_mb=1)


@pytest.mark.parametrize("name", ["zip", "lzma zip", "tar.gz", "tar.bz2", "tar.xz"])
def test_a_bomb_is_refused_by_its_ratio_without_being_held_in_memory(read, name: str) -> None:
    packed = PACKS[name]([(f"{index}.png", bytes(4_000_000)) for index in range(10)])
    assert len(packed) < 60_000
    tracemalloc.start()
    refused(read, packed, r"unpacks to over 100 times its size; .*ratio")
    assert tracemalloc.get_traced_memory()[1] < 12_000_000  # xz has a window of 8 MB
    tracemalloc.stop()


def test_what_an_archive_claims_in_total_is_limited(read) -> None:
    packed = bytearray(zipped([("a.png", b"data"), ("b.png", b"data")], zipfile.ZIP_STORED))
    place = packed.index(b"PK\x01\x02") + 24
    packed[place : place + 4] = (1_500_000_000).to_bytes(4, "little")
    refused(read, bytes(packed), "unpacked above 1 GB", total_gb=1, member_mb=2000)


def test_a_header_that_claims_an_impossible_length_is_not_believed(read) -> None:
    info = tarfile.TarInfo("x")
    info.type = tarfile.XHDTYPE
    info.size = 1 << 40
    pax = info.tobuf(tarfile.GNU_FORMAT) + bytes(4096)
    refused(read, pax, "impossible length|damaged")
    info.type, info.size = tarfile.REGTYPE, -512
    refused(read, info.tobuf(tarfile.GNU_FORMAT) + bytes(4096), "damaged")


def test_an_archive_that_goes_on_behind_its_end_is_bounded(read) -> None:
    packed = tarred([("a.png", b"1")], "w:gz")
    assert read(packed + bytes(100)) == {"a.png": b"1"}
    more = io.BytesIO()
    with gzip.open(more, "wb") as stream:
        stream.write(tarred([("a.png", b"1")]) + bytes(20_000_000))
    refused(read, more.getvalue(), "goes on behind its end")


names = st.text(
    st.sampled_from("ab.:/\\ C\x00\n\x7fé") | st.characters(exclude_categories=["Cs"]), max_size=20
)


@given(names)
@example("a/./b//c.png")
@example("C:\\..\\a")
@example("./C:/a")
def test_a_clean_name_never_leads_outside(name: str) -> None:
    try:
        clean = clean_name(name)
    except Refused:
        return
    assert clean_name(clean) == clean
    for path in (PurePosixPath("root") / clean, PureWindowsPath("root") / clean):
        assert path.parts[0] == "root"
        assert ".." not in path.parts
    assert "\0" not in clean


@given(st.lists(names.filter(lambda name: not name.endswith(("/", "\\"))), min_size=1, max_size=4))
def test_any_names_give_pictures_or_one_line(tmp_path_factory, listed: list[str]) -> None:
    assume(all(name.strip("/") for name in listed))
    path = tmp_path_factory.mktemp("any") / "blob"

    def read(packed: bytes) -> dict[str, bytes]:
        path.write_bytes(packed)
        holder = open_archive(path, "faces", ArchiveLimits())
        return dict(holder.read(set(holder.names)))

    members = [(f"{name}.png", name.encode()) for name in listed]
    taken = attempt(read, tarred(members)) or {}
    assert set(taken.values()) <= {data for _, data in members}
