"""What kinds that judge a rerun share: the run's facts, matching of sites and heads, and what counts as not knowing."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from pytest_mecheval.evidence.decision import Decision
from pytest_mecheval.evidence.measurement import Evidence
from pytest_mecheval.stats.rounding import Stated, grim_possible
from pytest_mecheval.vocabulary import Rung, Verdict
from pytest_mecheval.wire import Code, PlanStep, Prose, Rerun, Slice

FINISHED = "finished"
"""The run ended by itself; its exit code says how."""
TIMED_OUT = "timed_out"
"""The clock ended the run, which another machine or another hour may not."""
COMPLETE = "complete"
"""The ledger was closed and nothing in it is forged."""

PERCENT = 100.0
MAX_UNOBSERVED_SHARE = 0.9
"""Above it, what is absent from the ledger may have happened where nobody looked (METHODS X18). Training
alone spends two thirds of its time outside forwards."""
MODEL_ROWS = frozenset({"edit", "forward", "inputs"})
"""Rows that need an observed model call; what is printed is seen however it was computed."""
MAX_SHOWN = 3
"""Differences named in the text."""

UNREACHED = "every output of the model is what it is without the edit"

Facts = Mapping[str, Any]


def run_of(
    entry: str,
    *,
    sham: Literal["none", "shuffle", "headperm"] = "none",
    repeat: int = 0,
    keep: tuple[str, ...] = (),
    seed_shift: int = 0,
    poison: Literal["none", "finite", "nan"] = "none",
    poison_sites: tuple[str, ...] = (),
) -> PlanStep:
    """The step that runs one entry point of the bundle, as it is or with one thing changed.

    Args:
        entry: script or notebook, relative to the bundle.
        sham: what is done to the model's weights.
        repeat: number of the repetition.
        keep: stored results it is meant to read.
        seed_shift: added to every seed it sets.
        poison: what replaces the values its interventions write.
        poison_sites: only there; empty: everywhere.
    """
    probe = Rerun(
        entry,
        sham=sham,
        repeat=repeat,
        keep=keep,
        seed_shift=seed_shift,
        poison=poison,
        poison_sites=poison_sites,
    )
    return step_for(probe)


def step_for(probe: Rerun | Code | Prose) -> PlanStep:
    """The step of a probe that needs no prompts of ours."""
    return PlanStep(Slice("", "evaluation", n=0), probe)


def not_runnable(evidence: Evidence, needed: str) -> Decision:
    """NOT_TESTABLE: the script could not be started here at all."""
    reason = f"nothing: {evidence.unavailable}"
    return Decision(Verdict.NOT_TESTABLE, "cannot be run here", reason, needed, Rung.L0)


def forged(facts: Facts, needed: str) -> Decision | None:
    """REFUTED when nothing the run says can be believed.

    The script wrote into the ledger itself, or it printed something else as soon as nobody watched it.
    """
    if facts["standing"] == "forged":
        why = "; ".join(map(str, facts["problems"][:2]))
        measured = f"the run wrote into its own runtime ledger: {why}"
        return Decision(Verdict.REFUTED, "tampered", measured, needed, Rung.L0)
    if differences := facts.get("watched", {}).get("differences"):
        shown = "; ".join(map(str, differences[:MAX_SHOWN]))
        measured = f"the script does something else when it is not watched: {shown}"
        return Decision(Verdict.REFUTED, "differs when watched", measured, needed, Rung.L0)
    return None


def crashed(facts: Facts) -> bool:
    """Whether the run ended in any way but well."""
    return facts["status"] != FINISHED or facts["exit_code"] != 0 or bool(facts["failed_cells"])


def ending(facts: Facts) -> str:
    """How the run ended, in words."""
    if facts["status"] == TIMED_OUT:
        return "the run was stopped at its time limit (more: --mecheval-script-seconds)"
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
    if facts.get("faults"):
        return "the tracer failed to observe something in the run"
    cut = [name for name in row_types if name in facts["truncated"]]
    if cut:
        return f"the runtime ledger reached its limit for {', '.join(cut)}"
    share = facts.get("unobserved_share")
    if share is not None and share > MAX_UNOBSERVED_SHARE and MODEL_ROWS & set(row_types):
        return f"{share:.0%} of its computing time passed outside observed model calls"
    return "" if facts["standing"] == COMPLETE else "the runtime ledger is not complete"


def gives(facts: Facts, stated: str) -> list[str]:
    """Numbers of the run that round to the stated one; also as a share where the text has percent."""
    return [number for number in map(str, facts["numbers"]) if rounds_to(number, stated)]


def rounds_to(number: str, stated: str, *, slack: int = 0) -> bool:
    """Whether a printed number rounds to the stated one, give or take `slack` in its last digit.

    >>> rounds_to("0.3985", "0.397"), rounds_to("0.3984", "0.397", slack=1)
    (False, True)
    """
    wanted = Stated(stated)
    tolerance = 2 * slack * wanted.half_unit
    try:
        value = float(number)
    except ValueError:
        return False
    return wanted.matches(value, tolerance=tolerance) or (
        wanted.percent and wanted.matches(value / PERCENT, tolerance=tolerance)
    )


def counterparts(real: Facts, other: Facts, stated: str) -> tuple[list[str], list[str]]:
    """The stated number wherever the real run gives it, and what the other run gives at those places.

    Where the runs print differently many numbers, places cannot be matched: then the numbers of the
    other run that also round to the stated one.
    """
    mine, theirs = ([str(number) for number in facts["sequence"]] for facts in (real, other))
    places = [index for index, number in enumerate(mine) if rounds_to(number, stated)]
    if len(mine) == len(theirs):
        return [mine[index] for index in places], [theirs[index] for index in places]
    return [mine[index] for index in places], gives(other, stated)


def stays(real: Facts, other: Facts, stated: str, *, slack: int = 0) -> bool:
    """Whether the other run gives the stated number too, wherever the real one gives it."""
    _, theirs = counterparts(real, other, stated)
    return bool(theirs) and all(rounds_to(number, stated, slack=slack) for number in theirs)


def hardly_moves(real: Facts, other: Facts, stated: str, share: float) -> bool:
    """Whether the other run gives, wherever the real one gives the stated number, one within that share of it."""
    mine, theirs = counterparts(real, other, stated)
    if len(mine) != len(theirs) or not theirs:
        return False
    try:
        pairs = [(float(a), float(b)) for a, b in zip(mine, theirs, strict=True)]
    except ValueError:
        return False
    return all(abs(a - b) < share * abs(a) for a, b in pairs)


def may_repeat(stated: str, facts: Facts) -> bool:
    """Whether the number can be a share of the run's prompts: two samples then often agree by chance."""
    prompts = int(facts["prompts"])
    return prompts > 0 and 0 <= Stated(stated).value <= 1 and grim_possible(stated, prompts)


def unrepeatable(facts: Facts, stated: str) -> str:
    """Why a change of this number proves nothing: it changes between two runs of the same thing."""
    unstable = facts.get("watched", {}).get("unstable_numbers", ())
    found = next((number for number in map(str, unstable) if rounds_to(number, stated)), "")
    return f"{found} does not come out again when the script runs again" if found else ""


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


def heads_in(rows: Iterable[Facts]) -> str:
    """All heads that these edits changed, as ranges or `all`; empty when the ledger could not tell."""
    every = {str(row["heads"]) for row in rows}
    return "all" if "all" in every else ",".join(sorted(every - {""}))


def prompts_on(rows: Sequence[Facts], heads: Sequence[int] = ()) -> int:
    """Different prompts that these rows are about; with heads: on which each of them was changed."""
    if heads:
        return min(
            prompts_on([row for row in rows if covers(str(row["heads"]), [head])]) for head in heads
        )
    return max((int(row["prompts"]) for row in rows), default=0)


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
