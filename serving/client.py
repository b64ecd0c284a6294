"""Send a picture to a running server and keep what it answers.

`python -m serving.client PHOTO -o OUT`
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx

from serving import session
from sparnet import files
from sparnet.errors import UserError, exits_on_user_error


def restore(
    picture: bytes,
    address: session.Address,
    model: str | None = None,
    aligned: bool = False,
    timeout: float = 300.0,
) -> bytes:
    """Send an encoded picture, get the restored one as PNG.

    Without `model` the server chooses. `aligned`: the whole picture is one aligned face. Raises
    UserError where the server is not reached or refuses the picture, with its reason.
    """
    headers = {
        "Authorization": address.authorization,
        "Content-Type": "application/octet-stream",
        "Accept": "image/png",
    }
    params = {} if model is None else {"model": model}
    url = f"{address.url}/v1/{'faces' if aligned else 'enhance'}"
    try:
        with httpx.Client(timeout=timeout, trust_env=False) as client:
            answer = client.post(url, params=params, content=picture, headers=headers)
    except httpx.HTTPError as error:
        reason = str(error) or type(error).__name__
        raise UserError(f"{address.url}: no answer ({reason}); is the server up?") from None
    if answer.status_code != httpx.codes.OK:
        raise UserError(f"{url}: {answer.status_code}, {_detail(answer)}")
    return answer.content


@exits_on_user_error
def main(argv: Sequence[str] | None = None) -> None:
    arguments = _parser().parse_args(argv)
    try:
        picture = arguments.photo.read_bytes()
    except OSError as error:
        raise UserError(f"{arguments.photo}: cannot be read ({error.strerror})") from None
    address = session.find(arguments.session)
    files.write_bytes(
        arguments.output, restore(picture, address, arguments.model, arguments.aligned)
    )
    print(arguments.output)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving.client", description=__doc__.splitlines()[0]
    )
    parser.add_argument("photo", type=Path, metavar="PHOTO")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="PNG")
    parser.add_argument("--model", help="sparnethd where there is one")
    parser.add_argument(
        "--aligned", action="store_true", help="the whole picture is one aligned face"
    )
    parser.add_argument(
        "--session", type=Path, default=session.DEFAULT_FOLDER, help="the server's folder"
    )
    return parser


def _detail(answer: httpx.Response) -> str:
    """The reason in a problem of the gateway's."""
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.reason_phrase


if __name__ == "__main__":
    sys.exit(main())
