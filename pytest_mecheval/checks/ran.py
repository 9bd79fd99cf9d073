"""What kinds that judge a rerun share: the run's facts, matching of sites and heads, and what counts as not knowing."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pytest_mecheval.evidence.decision import Decision
from pytest_mecheval.evidence.measurement import Evidence
from pytest_mecheval.stats.rounding import Stated
from pytest_mecheval.vocabulary import Rung, Verdict
from pytest_mecheval.wire import PlanStep, Rerun, Slice

FINISHED = "finished"
"""The run ended by itself; its exit code says how."""
COMPLETE = "complete"
"""The ledger was closed and nothing in it is forged."""

PERCENT = 100.0

Facts = Mapping[str, Any]


def run_of(entry: str, *, sham: Literal["none", "shuffle"] = "none", repeat: int = 0) -> PlanStep:
    """The step that runs one entry point of the bundle, as it is or with shuffled weights."""
    return PlanStep(Slice("", "evaluation", n=0), Rerun(entry, sham, repeat))


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
    held: set[int] = set()
    for part in filter(None, heads.split(",")):
        first, _, last = part.partition("-")
        held.update(range(int(first), int(last or first) + 1))
    return set(wanted) <= held


def placed(row: Facts) -> str:
    """Where in the bundle a row was caused."""
    places = row.get("places") or [row.get("place", "")]
    return f" at {places[0]}" if places and places[0] else ""
