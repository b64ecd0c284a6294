"""The one exception that means: the user can mend this; print its line, no traceback."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any


class UserError(Exception):
    """A mistake outside the code. Its text is one line: what, which file or key, what to do."""


def exits_on_user_error(main: Callable[..., int | None]) -> Callable[..., int]:
    """Wrap a command's main: a UserError becomes one line on stderr and exit code 2."""

    @functools.wraps(main)
    def wrapper(*args: object, **kwargs: object) -> int:
        try:
            return main(*args, **kwargs) or 0
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2

    return wrapper


def first_mistake(mistakes: Sequence[Mapping[str, Any]], whole: str = "") -> str:
    """The first of pydantic's `errors()` in one line: where, what.

    whole: what the place is called where it is all of the input.
    """
    first = mistakes[0]
    where = ".".join(map(str, first["loc"])) or whole
    text = str(first["msg"]).removeprefix("Value error, ")
    return f"{where}: {text}" if where else text
