"""Calls a data function of the bundle a few times and hands its prompts out as JSON lines in plain bytes.

Convention: the function may take the number of prompts and a seed, by one of the names below, and returns
columns by name (`tokens`, `counterfactual`, `answer`, `foil`, and where it has them `read`, `positions`,
`cluster`, `stratum`) or a list of rows with these names. A column that is one value holds for every row.
"""

import inspect
import json
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .frames import Listed, Unanswerable
from .importing import entry_point

COUNT_NAMES = (
    *("n", "n_prompts", "num_prompts", "n_examples", "num_examples", "n_samples", "num_samples"),
    *("size", "count", "batch_size"),
)
SEED_NAMES = ("seed", "random_seed", "rng_seed", "random_state")
POSITIONS = "positions."
MAX_ROWS = 20_000
"""Prompts of one call; more are an error, not a reason to wait."""


def draw(task: dict[str, Any]) -> Listed:
    """One tensor of bytes per call, `rows.0` and so on, and `takes`: does it take a count, a seed.

    Args:
        task: `root`, `entry`, `arguments` from the claim file, `n` to ask for, `seeds` one per call at
            most, `wanted` different prompts after which no further call is needed.

    Raises:
        Unanswerable: it needs other arguments, or returns something else.
    """
    function = entry_point(task["root"], task["entry"])
    count, seed = _names(function, task["arguments"])
    listed: Listed = [("takes", "BOOL", (2,), bytes([bool(count), bool(seed)]))]
    different: set[bytes] = set()
    for number, value in enumerate(task["seeds"]):
        asked = {count: task["n"]} if count else {}
        asked |= {seed: value} if seed else {}
        _seed_everything(value)
        lines = [json.dumps(row).encode() for row in _rows(function(**task["arguments"], **asked))]
        body = b"\n".join(lines)
        listed.append((f"rows.{number}", "U8", (len(body),), body))
        known = len(different)
        different.update(lines)
        # Two calls at least, to see whether another seed gives other prompts.
        if number and (len(different) >= task["wanted"] or len(different) == known):
            break
    return listed


def _names(function: Callable[..., Any], given: Mapping[str, Any]) -> tuple[str, str]:
    """The names under which it takes a count and a seed; empty where it takes none or has them already."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return "", ""
    accepted = {one.name for one in parameters if one.kind not in (one.POSITIONAL_ONLY,)}
    count = next((name for name in COUNT_NAMES if name in accepted and name not in given), "")
    seed = next((name for name in SEED_NAMES if name in accepted and name not in given), "")
    open_ones = [
        one.name
        for one in parameters
        if one.default is one.empty
        and one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
        and one.name not in (*given, count, seed)
    ]
    if open_ones:
        raise Unanswerable(f"needs {', '.join(open_ones)}, which the task's arguments do not give")
    return count, seed


def _seed_everything(value: int) -> None:
    """For functions without a seed: the generators they may draw from, where they are loaded."""
    random.seed(value)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(value)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(value)


def _rows(found: Any) -> Iterator[dict[str, Any]]:
    if hasattr(found, "_asdict"):
        found = found._asdict()
    if isinstance(found, Mapping):
        yield from _from_columns({str(name): _plain(column) for name, column in found.items()})
        return
    if not isinstance(found, list | tuple):
        raise Unanswerable(
            f"returned {type(found).__name__}, not columns by name or a list of rows"
        )
    _bounded(len(found))
    for row in found:
        if not isinstance(row, Mapping):
            raise Unanswerable(f"returned a list of {type(row).__name__}, not of rows by name")
        yield {str(name): _plain(value) for name, value in row.items()}


def _from_columns(columns: dict[str, Any]) -> Iterator[dict[str, Any]]:
    named = columns.pop("positions", {})
    if not isinstance(named, Mapping):
        raise Unanswerable("positions: must be columns by name")
    positions = dict(named)
    for name in [one for one in columns if one.startswith(POSITIONS)]:
        positions[name.removeprefix(POSITIONS)] = columns.pop(name)
    tokens = columns.get("tokens")
    if not isinstance(tokens, list):
        raise Unanswerable("returned no column 'tokens' (prompts x length)")
    size = _bounded(len(tokens))
    for name, column in (*columns.items(), *positions.items()):
        if isinstance(column, list) and len(column) != size:
            raise Unanswerable(f"{name} has {len(column)} rows, tokens {size}")
    for number in range(size):
        row = {name: _at(column, number) for name, column in columns.items()}
        if positions:
            row["positions"] = {name: _at(one, number) for name, one in positions.items()}
        yield row


def _at(column: Any, number: int) -> Any:
    return column[number] if isinstance(column, list) else column


def _bounded(size: int) -> int:
    if size > MAX_ROWS:
        raise Unanswerable(f"returned {size} prompts at once, at most {MAX_ROWS} are taken")
    return size


def _plain(value: Any) -> Any:
    """Lists, numbers and texts for arrays, tensors and whatever holds them."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise Unanswerable(f"returned {type(value).__name__}, not numbers and texts")
