"""The gate: plan, isolated run, then a verdict that rests on documents and stored evidence, never on an exit code."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_mecheval.cases.settings import folder_names
from pytest_mecheval.errors import BundleError, UsageError
from pytest_mecheval.gate.canary import Canary, canary_reasons, write_canary
from pytest_mecheval.gate.judging import Reason, reasons
from pytest_mecheval.gate.planning import Plan, departures, plan_of
from pytest_mecheval.gate.policy import Policy
from pytest_mecheval.gate.running import LOG, Options, run_audit
from pytest_mecheval.report.artefacts import DECISIONS
from pytest_mecheval.report.outcome import BundleReport
from pytest_mecheval.report.reading import read_report
from pytest_mecheval.report.redeciding import Redecider, wrong_blocks
from pytest_mecheval.sandbox.backends import choose
from pytest_mecheval.vocabulary import Verdict

VERDICT_FILE = "gate.json"
JUDGED = (0, 1)
"""Exit statuses of a pytest run that came to its end: all passed, some failed."""


@dataclass(frozen=True)
class Judgement:
    """What the gate says about one bundle."""

    plan: Plan
    policy: Policy
    report: BundleReport | None
    """None when the run left no report that can be read."""
    reasons: tuple[Reason, ...]
    """Why it does not pass; empty when it does."""
    folder: Path
    """Where its reports are."""
    agreeing: int = 0
    """Verdicts that came out the same when decided again from stored evidence."""

    @property
    def passed(self) -> bool:
        """Whether the bundle may be merged, as far as this gate can tell."""
        return not self.reasons


def gate(bundle: Path, claims: Path, policy: Policy, options: Options) -> Judgement:
    """Audit a bundle in an isolated run and judge it.

    Args:
        bundle: absolute folder.
        claims: absolute path of its claim file.
        policy: what it must reach.
        options: how the run is made; its output folder must be ours alone.

    Raises:
        BundleError, ClaimFileError, StaleClaimsError, UsageError: bundle, claims or this machine cannot be used.
    """
    plan = plan_of(bundle, claims)
    if plan.runs_scripts:
        choose(policy.isolation if policy.isolation == "bubblewrap" else "auto")
    with tempfile.TemporaryDirectory(prefix="gate-", ignore_cleanup_errors=True) as name:
        place = Path(name).resolve()
        canary = write_canary(place / "own")
        status = run_audit(plan, canary, options, place)
        folders = [
            options.out / each for each in folder_names([bundle, canary.bundle], place / "work")
        ]
        return _judge(plan, policy, options, canary, folders, status)


def _judge(
    plan: Plan,
    policy: Policy,
    options: Options,
    canary: Canary,
    folders: list[Path],
    status: int,
) -> Judgement:
    folder, own = folders
    report, problem = _report(folder)
    canary_report, _ = _report(own)
    shutil.rmtree(own, ignore_errors=True)
    found = [*_run_reasons(status, problem), *canary_reasons(canary, canary_report)]
    agreeing = 0
    if report is not None:
        found += departures(plan, report)
        agreeing, again = _decided_again(folder / DECISIONS, report, options.evidence)
        found += again
        found += reasons(report, policy, unlisted=plan.unlisted)
    found += _changes(plan)
    return Judgement(plan, policy, report, tuple(found), folder, agreeing)


def _report(folder: Path) -> tuple[BundleReport | None, str]:
    path = folder / DECISIONS
    try:
        return read_report(path), ""
    except (OSError, UsageError) as error:
        return None, str(error)


def _run_reasons(status: int, problem: str) -> Iterator[Reason]:
    if status == 0:
        # One of our own two claims is false, so a run that judges ends with 1.
        yield Reason("run", "the run ended with status 0 although a false claim was in it")
    elif status not in JUDGED:
        yield Reason("run", f"the run did not come to its end: status {status}, see {LOG}")
    if problem:
        yield Reason("run", f"no report: {problem}")


def _decided_again(
    path: Path, report: BundleReport, evidence: Path
) -> tuple[int, tuple[Reason, ...]]:
    """Every verdict once more, by this process, from the stored measurements."""
    redecided = list(Redecider(report, evidence).claims())
    found = [
        Reason("evidence", f"{each.standing}: {'; '.join(each.details)}", (each.claim,))
        for each in redecided
        if not each.agrees
    ]
    document = json.loads(path.read_text(encoding="utf-8"))
    found += [
        Reason("evidence", f"{name}: does not follow from the decisions in the report")
        for name in wrong_blocks(document, report)
    ]
    return sum(each.agrees for each in redecided), tuple(found)


def _changes(plan: Plan) -> Iterator[Reason]:
    """Whether bundle or claims are other ones now than when the plan was made."""
    try:
        now = plan_of(plan.bundle, plan.claims_file)
        same = (now.bundle_hash, now.claims_hash) == (plan.bundle_hash, plan.claims_hash)
    except (OSError, BundleError, UsageError):
        same = False
    if not same:
        yield Reason("identity", "bundle or claim file changed while the gate was running")


def supported(report: BundleReport) -> int:
    """Number of SUPPORTED claims."""
    return sum(each.word == Verdict.SUPPORTED for each in report.outcomes)
