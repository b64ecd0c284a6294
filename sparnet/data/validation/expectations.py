"""Running a suite of Great Expectations over a table, without a trace outside the process."""

from __future__ import annotations

import functools
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from sparnet.data.validation.result import LISTED, Outcome

if TYPE_CHECKING:
    from great_expectations.data_context import EphemeralDataContext

SUITES = Path(__file__).parent / "suites"


def suite(table: str) -> dict[str, Any]:
    """The suite of a table: its name and its expectations, as Great Expectations reads them.

    Each has `meta.rule` (its stable name) and `meta.title`; `{"$PARAMETER": name}` stands for a
    limit given at run time.
    """
    return json.loads((SUITES / f"{table}.json").read_text())


def run(
    table: str, frame: pd.DataFrame, keys: Sequence[str], parameters: Mapping[str, Any]
) -> list[Outcome]:
    """Check `frame` against the table's suite, outcomes in its order; `keys` name a failing row.

    An expectation with a parameter that is None is skipped: there is no limit to hold. So is one
    whose column holds nothing: it was not measured.
    """
    expectations = suite(table)["expectations"]
    if frame.empty:
        return skip(table, "no rows to look at")
    reasons = [_not_asked(expectation, frame, parameters) for expectation in expectations]
    checked = [one for one, reason in zip(expectations, reasons, strict=True) if not reason]
    verdicts = _verdicts(table, checked, frame, keys, parameters) if checked else {}
    return [
        _skipped(table, one, reason)
        if reason
        else _outcome(table, one, verdicts[one["meta"]["rule"]], frame, keys)
        for one, reason in zip(expectations, reasons, strict=True)
    ]


def skip(table: str, reason: str) -> list[Outcome]:
    """The table's expectations, none of them checked."""
    return [_skipped(table, one, reason) for one in suite(table)["expectations"]]


@functools.cache
def _context() -> EphemeralDataContext:
    os.environ["DO_NOT_TRACK"] = "true"
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = great_expectations.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context


def _verdicts(
    table: str,
    expectations: list[dict[str, Any]],
    frame: pd.DataFrame,
    keys: Sequence[str],
    parameters: Mapping[str, Any],
) -> dict[str, dict[str, Any]]:
    """Great Expectations' results by rule."""
    context = _context()
    import great_expectations

    source = context.data_sources.add_or_update_pandas(table)
    batch = source.add_dataframe_asset(table).add_batch_definition_whole_dataframe(table)
    definition = great_expectations.ValidationDefinition(
        name=table,
        data=batch,
        suite=context.suites.add_or_update(
            great_expectations.ExpectationSuite(name=table, expectations=expectations)
        ),
    )
    results = context.validation_definitions.add_or_update(definition).run(
        batch_parameters={"dataframe": frame},
        expectation_parameters=dict(parameters),
        result_format={
            "result_format": "COMPLETE",
            "unexpected_index_column_names": list(keys),
            "include_unexpected_rows": False,
        },
    )
    verdicts: list[Any] = [result.to_json_dict() for result in results.results]
    return {verdict["expectation_config"]["meta"]["rule"]: verdict for verdict in verdicts}


def _outcome(
    table: str,
    expectation: Mapping[str, Any],
    verdict: Mapping[str, Any],
    frame: pd.DataFrame,
    keys: Sequence[str],
) -> Outcome:
    kwargs = verdict["expectation_config"]["kwargs"]
    result = verdict["result"]
    failing = [_plain(row) for row in result.get("unexpected_index_list") or []]
    failing.sort(key=lambda row: [str(row.get(key)) for key in keys])
    return Outcome(
        **_asked(table, expectation, kwargs),
        status="passed" if verdict["success"] else "failed",
        observed=_observed(result, kwargs, frame),
        checked=result.get("element_count", len(frame)),
        failing=result.get("unexpected_count", 0),
        rows=tuple(_keys_first(row, keys) for row in failing[:LISTED]),
        reason=_exception(verdict["exception_info"]),
    )


def _skipped(table: str, expectation: Mapping[str, Any], reason: str) -> Outcome:
    asked = _asked(table, expectation, expectation["kwargs"])
    return Outcome(**asked, status="skipped", reason=reason)


def _asked(table: str, expectation: Mapping[str, Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    meta = expectation["meta"]
    return {
        "table": table,
        "rule": meta["rule"],
        "title": meta["title"],
        "severity": expectation["severity"],
        "limit": _limit(expectation["type"], kwargs),
    }


def _not_asked(
    expectation: Mapping[str, Any], frame: pd.DataFrame, parameters: Mapping[str, Any]
) -> str:
    """Why an expectation is not checked; empty where it is."""
    kwargs = expectation["kwargs"]
    names = [
        value["$PARAMETER"]
        for value in kwargs.values()
        if isinstance(value, Mapping) and "$PARAMETER" in value
    ]
    missing = [name for name in names if parameters[name] is None]
    if missing:
        return f"params give no {', '.join(missing)}"
    column = kwargs.get("column")
    if column in frame and frame[column].isna().all():
        return f"no row has a {column}"
    return ""


def _limit(kind: str, kwargs: Mapping[str, Any]) -> str:
    """The expectation's type and arguments in words, such as `2 <= std in at least 0.9 of all`."""
    mostly = kwargs.get("mostly", 1)
    share = "" if mostly == 1 else f" in at least {_text(mostly)} of all"
    return _asked_of_each(kind, kwargs) + share


def _asked_of_each(kind: str, kwargs: Mapping[str, Any]) -> str:
    match kwargs:
        case {"column_A": left, "column_B": right}:
            if kind == "expect_column_pair_values_to_be_equal":
                return f"{left} = {right}"
            return f"{left} {'>=' if kwargs.get('or_equal') else '>'} {right}"
        case {"column_list": columns}:
            return f"{', '.join(columns)} together unique"
        case {"column": column, "value_set": values}:
            return f"{column} one of {_text(values)}"
        case {"column": column, "regex": pattern}:
            return f"{column} like {pattern}"
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    below = f"{_text(low)} <= " if low is not None else ""
    above = f" <= {_text(high)}" if high is not None else ""
    return f"{below}{kwargs.get('column', 'rows')}{above}"


def _text(value: Any) -> str:
    match value:
        case {"$PARAMETER": name}:
            return f"${name}"
        case float():
            return f"{value:g}"
        case [""]:
            return "(empty)"
        case list():
            return ", ".join(str(item) for item in value)
    return str(value)


def _observed(result: Mapping[str, Any], kwargs: Mapping[str, Any], frame: pd.DataFrame) -> Any:
    """The measured value; for limits on rows [smallest, largest]; for names those that occur."""
    if result.get("observed_value") is not None:
        return _plain(result["observed_value"])
    values = frame[kwargs["column"]].dropna() if "column" in kwargs else frame.iloc[:0, 0]
    if values.empty:
        return None
    if "min_value" in kwargs or "max_value" in kwargs:
        return _plain([values.min(), values.max()])
    return sorted(map(str, values.unique()))[:LISTED] if kwargs.get("value_set") else None


def _keys_first(row: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {key: row[key] for key in keys if key in row} | dict(row)


def _exception(info: Mapping[str, Any]) -> str:
    """The first line of what kept the expectation from being computed, or nothing."""
    each = [info] if "raised_exception" in info else list(info.values())
    messages = sorted({str(one["exception_message"]) for one in each if one["raised_exception"]})
    return messages[0].splitlines()[0] if messages else ""


def _plain(value: Any) -> Any:
    """JSON's own types, finite; numpy's scalars as Python's."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return round(value, 9) if math.isfinite(value) else None
    return value
