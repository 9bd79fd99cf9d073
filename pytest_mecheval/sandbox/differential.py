"""Compares a traced run with a plain one: code that behaves differently when watched gives itself away.

Pure. What it cannot see: code that computes outside any model call and prints the same either way; for
that, `unobserved_share` sets the CPU time inside observed forwards against the whole run's.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_mecheval.sandbox.ledger import Ledger
from pytest_mecheval.sandbox.ledger_fields import clean

MAX_DIFFERENCES = 20
MAX_TOKENS = 200_000
SHOWN = 80
COST_WORDS = frozenset(
    [
        "time",
        "times",
        "elapsed",
        "took",
        "seconds",
        "secs",
        "duration",
        "runtime",
        "wall",
        "cpu",
        "memory",
        "mib",
        "mb",
        "speed",
    ]
)
COST_UNITS = frozenset(
    {
        "s",
        "sec",
        "secs",
        "seconds",
        "second",
        "ms",
        "us",
        "min",
        "minutes",
        "mib",
        "mb",
        "gib",
        "gb",
    }
)
COST_WORD_REACH = 3
"""Tokens before a number in which a word or part of one such as `elapsed_s` makes it a running cost (`"seconds": 1.2`)."""
START_UP_CPU_S = 10.0
"""CPU seconds that importing torch and a model library may take without any forward."""
_TOKEN = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[A-Za-z_]\w*|[^\s\w]", re.ASCII)
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Output:
    """What one run left: exit code, standard output, text files by path."""

    exit_code: int
    stdout: str
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Differential:
    """The comparison of two runs."""

    same: bool
    differences: tuple[str, ...]
    """Place, traced value, plain value; at most 20."""
    compared: int
    """Tokens compared."""
    unstable: int
    """Tokens left out because two plain runs already differ there."""
    unstable_places: tuple[str, ...] = ()
    """Where two plain runs differ in a number, with both values; at most 20."""
    unstable_numbers: tuple[str, ...] = ()
    """The traced run's numbers at such places, once each."""
    reason: str = ""
    """Why nothing could be compared; `same` is then False."""


def differential(
    traced: Output, plain: Output, *, again: Output | None = None, tolerance: float = 1e-6
) -> Differential:
    """Whether a run gave the same output with and without the tracer.

    Args:
        traced: the run with the tracer.
        plain: the same entry point without it, same seeds.
        again: a second plain run; when numbers of the plain runs differ, the script never repeats and
            nothing that the traced run does differently says anything.
        tolerance: relative, for numbers; words and structure must agree exactly.

    Returns:
        `same` only if something was compared and nothing differed.
    """
    found: list[str] = []
    parts: list[Differential] = []
    if traced.exit_code != plain.exit_code and (
        again is None or again.exit_code == plain.exit_code
    ):
        found.append(f"exit code: {traced.exit_code} traced, {plain.exit_code} plain")
    repeated = _texts(again) if again is not None else {}
    ours, theirs = _texts(traced), _texts(plain)
    for place in sorted(ours.keys() | theirs.keys()):
        if place not in ours or place not in theirs:
            if again is None or (place in repeated) == (place in theirs):
                side = "plain" if place not in ours else "traced"
                found.append(f"{clean(place)}: only in the {side} run")
            continue
        parts.append(_compare(place, ours[place], theirs[place], repeated.get(place), tolerance))
    found += [text for one in parts for text in one.differences]
    places = tuple(text for one in parts for text in one.unstable_places)
    if any(one.unstable_numbers for one in parts):
        # Coarse numbers of a script that never repeats agree twice by chance; then nothing gives it away.
        places, found = (*places, *found), []
    compared = sum(one.compared for one in parts)
    nothing = not compared and not found
    return Differential(
        not found and not nothing,
        tuple(found[:MAX_DIFFERENCES]),
        compared,
        sum(one.unstable for one in parts),
        places[:MAX_DIFFERENCES],
        tuple(dict.fromkeys(number for one in parts for number in one.unstable_numbers)),
        "neither run printed or wrote anything comparable" if nothing else "",
    )


def _texts(output: Output) -> dict[str, str]:
    return {"stdout": output.stdout, **{f"file {p}": t for p, t in output.files.items()}}


def _compare(
    place: str, traced: str, plain: str, again: str | None, tolerance: float
) -> Differential:
    ours, theirs = _tokens(traced), _tokens(plain)
    third = _tokens(again) if again is not None else None
    if len(ours) != len(theirs):
        if third is not None and len(third) != len(theirs):
            text = f"{clean(place)}: {len(theirs)} words and numbers, then {len(third)}"
            numbers = tuple(token for token in ours if _NUMBER.fullmatch(token))
            return Differential(True, (), 0, max(len(theirs), len(third)), (text,), numbers)
        text = f"{clean(place)}: {len(ours)} words and numbers traced, {len(theirs)} plain"
        return Differential(False, (text,), len(ours), 0)
    found: list[str] = []
    places: list[str] = []
    numbers_there: list[str] = []
    unstable = 0
    for index, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
        if _agree(mine, other, tolerance):
            continue
        if _is_cost(theirs, index):
            unstable += 1
            continue
        repeated = third[index] if third is not None and index < len(third) else ""
        if third is not None and not _agree(repeated, other, tolerance):
            unstable += 1
            if _NUMBER.fullmatch(mine):
                numbers_there.append(mine)
                places.append(
                    f"{clean(place)}, token {index + 1}: {clean(other[:SHOWN])}, "
                    f"then {clean(repeated[:SHOWN])}"
                )
            continue
        if len(found) < MAX_DIFFERENCES:
            found.append(
                f"{clean(place)}, token {index + 1}: {clean(mine[:SHOWN])} traced, "
                f"{clean(other[:SHOWN])} plain"
            )
    return Differential(
        not found, tuple(found), len(ours) - unstable, unstable, tuple(places), tuple(numbers_there)
    )


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text)[:MAX_TOKENS]


def _is_cost(tokens: Sequence[str], index: int) -> bool:
    """Whether a number says how long something took or how much memory: the tracer itself changes that."""
    if not _NUMBER.fullmatch(tokens[index]):
        return False
    if index + 1 < len(tokens) and tokens[index + 1].lower() in COST_UNITS:
        return True
    for token in reversed(tokens[max(0, index - COST_WORD_REACH) : index]):
        if _NUMBER.fullmatch(token):
            return False
        if COST_WORDS & set(token.lower().split("_")):
            return True
    return False


def _agree(a: str, b: str, tolerance: float) -> bool:
    if a == b:
        return True
    if not (_NUMBER.fullmatch(a) and _NUMBER.fullmatch(b)):
        return False
    x, y = float(a), float(b)
    if not (math.isfinite(x) and math.isfinite(y)):
        return False
    return abs(x - y) <= tolerance * max(abs(x), abs(y))


def unobserved_share(ledger: Ledger, *, start_up_s: float = START_UP_CPU_S) -> float | None:
    """Share of a run's CPU time spent outside observed forwards, start-up deducted; None when unknown.

    Near 1 for a run with forwards on record means that the computing happened elsewhere (functional code,
    child processes): the ledger then says little. The end row is testimony like the rest.
    """
    end = ledger.end
    if end is None:
        return None
    total = end.cpu + end.children_cpu - start_up_s
    if total <= 0:
        return None
    return min(1.0, max(0.0, 1.0 - end.forward_cpu / total))
