"""What kinds that judge a rerun share: the run's facts, matching of sites and heads, and what counts as not knowing."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from pytest_mecheval.evidence.decision import Decision
from pytest_mecheval.evidence.measurement import Evidence
from pytest_mecheval.stats.rounding import Stated
from pytest_mecheval.vocabulary import Rung, Verdict
from pytest_mecheval.wire import Code, PlanStep, Prose, Rerun, Slice

FINISHED = "finished"
"""The run ended by itself; its exit code says how."""
COMPLETE = "complete"
"""The ledger was closed and nothing in it is forged."""

PERCENT = 100.0

Facts = Mapping[str, Any]


def run_of(
    entry: str,
    *,
    sham: Literal["none", "shuffle"] = "none",
    repeat: int = 0,
    keep: tuple[str, ...] = (),
) -> PlanStep:
    """The step that runs one entry point of the bundle, as it is or with shuffled weights.

    Args:
        entry: script or notebook, relative to the bundle.
        sham: what is done to the weights it loads.
        repeat: number of the repetition.
        keep: stored results it is meant to read.
    """
    return step_for(Rerun(entry, sham=sham, repeat=repeat, keep=keep))


def step_for(probe: Rerun | Code | Prose) -> PlanStep:
    """The step of a probe that needs no prompts of ours."""
    return PlanStep(Slice("", "evaluation", n=0), probe)


def not_runnable(evidence: Evidence, needed: str) -> Decision:
    """NOT_TESTABLE: the script could not be started here at all."""
    reason = f"nothing: {evidence.unavailable}"
    return Decision(Verdict.NOT_TESTABLE, "cannot be run here", reason, needed, Rung.L0)


def forged(facts: Facts, needed: str) -> Decision | None:
    """REFUTED when the script wrote into the ledger itself: nothing the run says can be believed."""
    if facts["standing"] != "forged":
        return None
    why = "; ".join(map(str, facts["problems"][:2]))
    measured = f"the run wrote into its own runtime ledger: {why}"
    return Decision(Verdict.REFUTED, "tampered", measured, needed, Rung.L0)


def crashed(facts: Facts) -> bool:
    """Whether the run ended in any way but well."""
    return facts["status"] != FINISHED or facts["exit_code"] != 0 or bool(facts["failed_cells"])


def ending(facts: Facts) -> str:
    """How the run ended, in words."""
    if facts["status"] != FINISHED:
        return f"the run was stopped ({facts['status']})"
    if facts["failed_cells"]:
        return f"cells failed: {'; '.join(facts['failed_cells'][:3])}"
    if facts["exit_code"] != 0:
        words = f": {facts['last_words']}" if facts["last_words"] else ""
        return f"the run ended with exit code {facts['exit_code']}{words}"
    return "the run ended well"


def blind(facts: Facts, *row_types: str) -> str:
    """Why absence proves nothing in this run; empty when it does."""
    if others := facts["unseen"]:
        return f"other processes did work that the runtime ledger does not see: {others[0]}"
    cut = [name for name in row_types if name in facts["truncated"]]
    if cut:
        return f"the runtime ledger reached its limit for {', '.join(cut)}"
    return "" if facts["standing"] == COMPLETE else "the runtime ledger is not complete"


def gives(facts: Facts, stated: str) -> list[str]:
    """Numbers of the run that round to the stated one; also as a share where the text has percent."""
    wanted = Stated(stated)
    found = []
    for number in map(str, facts["numbers"]):
        try:
            value = float(number)
        except ValueError:
            continue
        if wanted.matches(value) or (wanted.percent and wanted.matches(value / PERCENT)):
            found.append(number)
    return found


def labelled(facts: Facts, label: str) -> list[float]:
    """Numbers of the run that stand right after these words, in its order; percent signs count as such."""
    wanted = re.compile(rf"(?<!\w){re.escape(label.strip())}$", re.IGNORECASE)
    found = []
    for figure in facts["figures"]:
        if wanted.search(str(figure["label"])):
            try:
                found.append(Stated(str(figure["number"])).value)
            except ValueError:
                continue
    return found


def at_sites(rows: Sequence[Facts], sites: Sequence[str]) -> list[Facts]:
    """Rows whose site is one of these: equal, or the site's last dotted parts; all when none is named.

    The ledger says whether a module's `.input` or `.output` was touched; a claim need not.
    """
    if not sites:
        return list(rows)
    return [row for row in rows if any(_is_site(str(row["site"]), site) for site in sites)]


def _is_site(name: str, wanted: str) -> bool:
    whole = name.removesuffix(".input").removesuffix(".output")
    return any(each == wanted or each.endswith(f".{wanted}") for each in (name, whole))


def covers(heads: str, wanted: Sequence[int]) -> bool:
    """Whether changed heads, as the ledger writes them, hold all the wanted ones.

    >>> covers("1,3-5", [4]), covers("all", [7]), covers("", [0]), covers("2", [])
    (True, True, False, True)
    """
    if not wanted or heads == "all":
        return True
    return set(wanted) <= numbers_in(heads)


def numbers_in(ranges: str) -> set[int]:
    """Whole numbers written as ranges.

    >>> sorted(numbers_in("1,3-5"))
    [1, 3, 4, 5]
    """
    held: set[int] = set()
    for part in filter(None, ranges.split(",")):
        first, _, last = part.partition("-")
        held.update(range(int(first), int(last or first) + 1))
    return held


def ranges(numbers: Iterable[int]) -> str:
    """Whole numbers as ranges, the inverse of `numbers_in`.

    >>> ranges([5, 1, 3, 4])
    '1,3-5'
    """
    parts: list[list[int]] = []
    for number in sorted(set(numbers)):
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def placed(row: Facts) -> str:
    """Where in the bundle a row was caused."""
    places = row.get("places") or [row.get("place", "")]
    return f" at {places[0]}" if places and places[0] else ""
