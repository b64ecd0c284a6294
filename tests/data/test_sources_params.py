from __future__ import annotations

from typing import Any

import pytest
import yaml

from sparnet import config, profiles
from sparnet.errors import UserError


def parse(**download: Any) -> config.Download:
    params = yaml.safe_load(profiles.text("quick"))
    params["download"] |= download
    return config.parse(params).download


def http(**of_file: object) -> dict[str, Any]:
    return {"source": "http", "http": {"files": [of_file]}}


@pytest.mark.parametrize("source", ["http", "s3", "lfw", "celeba", "ffhq"])
def test_a_source_needs_its_block(source: str) -> None:
    with pytest.raises(UserError, match=f"the block '{source}' is missing"):
        parse(source=source)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/f.zip",
        "file:///etc/passwd",
        "s3://bucket/f",
        "f.zip",
        "http:///f",
        "http://h:x/",
    ],
)
def test_an_unknown_scheme_is_one_line_with_its_key(url: str) -> None:
    with pytest.raises(UserError, match=r"download\.http\.files\.0\.url: ") as told:
        parse(**http(url=url))
    assert "\n" not in str(told.value)


def test_an_address_holds_no_password() -> None:
    with pytest.raises(UserError, match="no user and password") as told:
        parse(**http(url="https://me:secret@host/f.zip"))
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    ("of_file", "key"),
    [
        ({"sha256": "abc"}, "sha256"),
        ({"name": "../x.png"}, "name"),
        ({"sha1": "abc"}, "sha1: unknown key"),
    ],
)
def test_other_mistakes_name_their_key(of_file: dict[str, str], key: str) -> None:
    with pytest.raises(UserError, match=rf"download\.http\.files\.0\.{key}"):
        parse(**http(url="https://host/f.zip", **of_file))


def test_a_list_of_files_is_not_empty() -> None:
    with pytest.raises(UserError, match=r"download\.http\.files: "):
        parse(source="http", http={"files": []})


def test_no_key_of_a_bucket_can_stand_in_the_parameters() -> None:
    s3 = {"bucket": "faces", "secret_access_key": "s"}
    with pytest.raises(UserError, match=r"download\.s3\.secret_access_key: unknown key"):
        parse(source="s3", s3=s3)
