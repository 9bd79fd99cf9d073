"""Validation strength: what the bundle calls a validation can fail, on wrong components and on a broken model.

Question: does the bundle's own validation stop passing when the components, the weights or the function it validates are wrong?
Null: it passes just as well with other components in its node list, with shuffled weights, or with that function emptied.
Statistic: exact: the script's verdict (its passing words, or exit code 0) in the honest run against up to 3 decoy node lists, 2 weight shuffles, and the named function giving its input, a constant and an error; it is VACUOUS when no forward ran in it, or when every sham of a sort (two or more) passes; INCONCLUSIVE when other components change its verdict but nothing it did with the model or measured: then it only looked their names up.
Blind spots: testimony (T1); a validation that can fail may still be weak, and one hook beside a look-up of names hides that it is one; names typed into the code cannot be exchanged; a script that loads no weights cannot be given broken ones.
Source: METHODS 7.3 K09, 10 V01, V03, V07-V08; Adebayo et al. 2018, arXiv:1810.03292 (parameter randomisation).
"""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from pytest_mecheval.bundle.subject import EntryPoint, RelativePath
from pytest_mecheval.checks import ran
from pytest_mecheval.checks.check import Check, Example, Subject, no_negation
from pytest_mecheval.checks.ran import Facts
from pytest_mecheval.checks.spec import Spec
from pytest_mecheval.checks.worked import rerun_example
from pytest_mecheval.evidence.decision import Decision
from pytest_mecheval.evidence.decision import Shams as ShamCount
from pytest_mecheval.evidence.measurement import Evidence
from pytest_mecheval.vocabulary import Dimension, Rung, Verdict
from pytest_mecheval.wire import Decoy, Mutant, PlanStep, Rerun

SHUFFLES = 2
"""Weight permutations: a ratio of noise may pass once by luck, hardly twice."""
DECOYS = 3
"""Node lists with other components."""
GIVES: tuple[Literal["input", "constant", "error"], ...] = ("input", "constant", "error")
"""What the emptied function does instead; with an error, a caller that swallows exceptions shows too."""
FEWEST = 2
"""Passing shams of a sort that show something: a single one may be true by accident."""

Name = Annotated[str, Field(min_length=1, max_length=80)]


class ValidationStrengthSpec(Spec):
    """What a claim that something was validated must say before it can be checked."""

    entry: str
    """Script (.py) or notebook (.ipynb) that validates, relative to the bundle."""
    passed: Annotated[str, Field(max_length=200)] = ""
    """Words it prints or writes when it passes, such as `validation: PASSED`; empty: exit code 0."""
    nodes: RelativePath | None = None
    """File it reads the validated components from (a node list); results/ files are kept for it."""
    claimed: tuple[Name, ...] = ()
    """Component names as that file writes them."""
    others: tuple[Name, ...] = ()
    """Other components that exist in the model, written alike; they take the place of the claimed ones."""
    function: EntryPoint | None = None
    """Function that it puts to the test, `src/ablate.py:ablate`: emptied in turn, so that passing can fail."""
    keep: tuple[RelativePath, ...] = ()
    """Further stored results that it is meant to read."""


def plan(spec: ValidationStrengthSpec, _subject: Subject) -> tuple[PlanStep, ...]:
    """The honest run, and one run per sham."""
    return (_honest(spec), *_shuffled(spec), *_decoyed(spec), *_emptied(spec))


def decide(spec: ValidationStrengthSpec, _subject: Subject, evidence: Evidence) -> Decision:
    """The verdict must change under each sort of sham that could be handed out."""
    needed = f"{_passing(spec)} in the honest run and not in every run in which something it tests is wrong"
    if evidence.unavailable:
        return ran.not_runnable(evidence, needed)
    honest = evidence[_honest(spec)].facts
    shuffled = [evidence[step].facts for step in _shuffled(spec)]
    decoyed = [evidence[step].facts for step in _decoyed(spec)]
    emptied = [evidence[step].facts for step in _emptied(spec)]
    for facts in (honest, *shuffled, *decoyed, *emptied):
        if forgery := ran.forged(facts, needed):
            return forgery
    if not _passes(spec, honest):
        measured = f"{spec.entry} does not pass: {_shown(spec, honest)}"
        return Decision(Verdict.REFUTED, "does not pass", measured, needed, Rung.L0)
    if not honest["forwards"]:
        return _without_model(spec, honest, needed)
    stopped = [
        facts for facts in (*shuffled, *decoyed, *emptied) if facts["status"] != ran.FINISHED
    ]
    # What a limit of ours stopped has said neither yes nor no.
    handed = [facts for facts in shuffled if facts["sham_applied"] and facts not in stopped]
    read = [facts for facts in decoyed if _was_read(spec, facts) and facts not in stopped]
    without = [facts for facts in emptied if facts not in stopped]
    if stopped and not (handed or read or without):
        measured = f"{spec.entry} passes, and on shams {ran.ending(stopped[0])}"
        return Decision(Verdict.INCONCLUSIVE, "not observed", measured, needed, Rung.L0)
    verdict, code, measured = _judged(spec, handed, read, without)
    if verdict is Verdict.SUPPORTED and read and _only_named(honest, read):
        verdict, code = Verdict.INCONCLUSIVE, "only looked up"
        measured = f"{measured}; but it neither read nor changed an activation or a weight, and what it measured is the same for every list of components"
    passing = [facts for facts in (*handed, *read, *without) if _passes(spec, facts)]
    shams = ShamCount(len(passing), len(handed) + len(read) + len(without))
    notes = _not_handed(spec, len(handed), len(read))
    if stopped:
        notes = (*notes, f"{len(stopped)} sham runs count for nothing: {ran.ending(stopped[0])}")
    return Decision(verdict, code, measured, needed, Rung.L0, shams=shams, notes=notes)


def _without_model(spec: ValidationStrengthSpec, honest: Facts, needed: str) -> Decision:
    """V08: no comparison in it can involve an output of the model."""
    if why := ran.blind(honest, "forward"):
        measured = f"{spec.entry} passes and no forward was seen; {why}"
        return Decision(Verdict.INCONCLUSIVE, "not observed", measured, needed, Rung.L0)
    measured = f"{spec.entry} passes without a single forward pass of a model"
    return Decision(Verdict.VACUOUS, "no model output", measured, needed, Rung.L0)


def _judged(
    spec: ValidationStrengthSpec, handed: list[Facts], read: list[Facts], without: list[Facts]
) -> tuple[Verdict, str, str]:
    if not (handed or read or without):
        said = f"{spec.entry} passes, and no sham could be handed to it"
        return Verdict.NOT_TESTABLE, "no sham could be handed out", said
    weights = _count(spec, handed, "runs on shuffled weights")
    names = _count(spec, read, "runs on other components")
    empty = _count(spec, without, f"runs with {spec.function} emptied")
    counts = " and in ".join(filter(None, (weights, names, empty)))
    said = f"{spec.entry} passes, and in {counts}"
    blind_to_weights = bool(handed) and all(_passes(spec, facts) for facts in handed)
    blind_to_names = bool(read) and all(_passes(spec, facts) for facts in read)
    if len(read) < FEWEST and blind_to_names and not blind_to_weights:
        return Verdict.INCONCLUSIVE, "too few shams", said
    if blind_to_weights and blind_to_names:
        return Verdict.VACUOUS, "cannot fail", said
    if blind_to_names:
        return Verdict.VACUOUS, "passes with any components", said
    if blind_to_weights:
        return Verdict.VACUOUS, "passes with any weights", said
    if len(without) >= FEWEST and all(_passes(spec, facts) for facts in without):
        return Verdict.VACUOUS, "passes without the function", said
    return Verdict.SUPPORTED, "", said


def _only_named(honest: Facts, read: list[Facts]) -> bool:
    """K09: other components change the verdict, but nothing that the run did with the model or measured."""
    if honest["edits"] or honest["reads"] or honest["other_edits"] or ran.blind(honest, "edit"):
        return False
    measured = _fractions(honest)
    # A run that stops at a failed assertion gives the same numbers as far as it comes.
    return all(_fractions(facts) == measured[: len(_fractions(facts))] for facts in read)


def _fractions(facts: Facts) -> list[str]:
    """What the run gave in order, without whole numbers: those count names."""
    return [number for number in map(str, facts["sequence"]) if "." in number]


def _count(spec: ValidationStrengthSpec, runs: list[Facts], what: str) -> str:
    passing = sum(_passes(spec, facts) for facts in runs)
    return f"{passing} of {len(runs)} {what}" if runs else ""


def _not_handed(spec: ValidationStrengthSpec, handed: int, read: int) -> tuple[str, ...]:
    notes = []
    if not handed:
        notes.append("no load of weights was intercepted, so none could be shuffled")
    if not spec.nodes:
        notes.append("the claim names no node list, so components were not exchanged")
    elif not read:
        notes.append(f"{spec.entry} never read {spec.nodes} before writing it")
    return tuple(notes)


def _passes(spec: ValidationStrengthSpec, facts: Facts) -> bool:
    """Whether the run said so: by its exit code, and by the passing words when the claim names them."""
    if ran.crashed(facts):
        return False
    if not spec.passed:
        return True
    said = [*map(str, facts["lines"]), *map(str, facts["texts"].values())]
    return any(spec.passed in text for text in said)


def _was_read(spec: ValidationStrengthSpec, facts: Facts) -> bool:
    """Whether the decoy reached the script: the first use of the file was to read it."""
    uses = [mode for path, mode in facts["files"] if path == spec.nodes]
    return bool(uses) and uses[0] == "read"


def _shown(spec: ValidationStrengthSpec, facts: Facts) -> str:
    return ran.ending(facts) if ran.crashed(facts) else f"it never says {spec.passed!r}"


def _passing(spec: ValidationStrengthSpec) -> str:
    return f"{spec.entry} says {spec.passed!r}" if spec.passed else f"{spec.entry} ends well"


def _kept(spec: ValidationStrengthSpec) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*((spec.nodes,) if spec.nodes else ()), *spec.keep)))


def _honest(spec: ValidationStrengthSpec) -> PlanStep:
    return ran.step_for(Rerun(spec.entry, keep=_kept(spec)))


def _shuffled(spec: ValidationStrengthSpec) -> tuple[PlanStep, ...]:
    return tuple(
        ran.step_for(Rerun(spec.entry, sham="shuffle", sham_seed=seed, keep=_kept(spec)))
        for seed in range(SHUFFLES)
    )


def _decoyed(spec: ValidationStrengthSpec) -> tuple[PlanStep, ...]:
    if not spec.nodes:
        return ()
    lists: dict[frozenset[str], tuple[tuple[str, str], ...]] = {}
    for names in _exchanges(spec):
        kept = set(spec.claimed) - {old for old, _ in names}
        # The same nodes in another order are no other sham.
        lists.setdefault(frozenset(kept | {new for _, new in names}), names)
    return tuple(
        ran.step_for(Rerun(spec.entry, keep=_kept(spec), decoy=Decoy(spec.nodes, names)))
        for names in list(lists.values())[:DECOYS]
    )


def _emptied(spec: ValidationStrengthSpec) -> tuple[PlanStep, ...]:
    """V07: the function under validation, emptied in each way."""
    if not spec.function:
        return ()
    return tuple(
        ran.step_for(Rerun(spec.entry, keep=_kept(spec), mutant=Mutant(spec.function, gives)))
        for gives in GIVES
    )


def _exchanges(spec: ValidationStrengthSpec) -> Iterator[tuple[tuple[str, str], ...]]:
    """All claimed components for others, as far as those reach; then one at a time."""
    for turn in range(len(spec.others)):
        turned = (*spec.others[turn:], *spec.others[:turn])
        yield tuple(zip(spec.claimed, turned, strict=False))
    for old in spec.claimed:
        for new in spec.others:
            yield ((old, new),)


def problems(spec: ValidationStrengthSpec, _subject: Subject) -> tuple[str, ...]:
    """Fields that belong together, and shams that would be no shams."""
    found = []
    given = (spec.nodes is not None, bool(spec.claimed), bool(spec.others))
    if any(given) and not all(given):
        found.append(
            "nodes, claimed and others go together: file, its names, what to write instead"
        )
    both = sorted(set(spec.claimed) & set(spec.others))
    if both:
        found.append(f"others names components that are claimed: {', '.join(both)}")
    for name, values in (("claimed", spec.claimed), ("others", spec.others)):
        if len(set(values)) != len(values):
            found.append(f"{name} names a component twice")
    return tuple(found)


def refuted_by(spec: ValidationStrengthSpec) -> str:
    """What would refute it."""
    return f"{_passing(spec)} on wrong components, on shuffled weights or without the function too, or not at all"


_SPEC = ValidationStrengthSpec(
    entry="validate.py",
    passed="validation: PASSED",
    nodes="results/nodes.json",
    claimed=("a0.h2",),
    others=("a0.h0", "a0.h3"),
)
_ROW = {"site": "blocks.0.attn.o", "kind": "zero", "heads": "2", "prompts": 64, "places": []}
_YES: dict[str, object] = {
    "edits": [_ROW],
    "lines": ["validation: PASSED"],
    "sham_applied": True,
    "files": [["validate.py", "read"], ["results/nodes.json", "read"]],
}
_NO = {**_YES, "lines": ["validation: FAILED"]}


def _worked(
    title: str,
    verdict: Verdict,
    *runs: dict[str, object],
    spec: ValidationStrengthSpec = _SPEC,
) -> Example:
    """Honest run, two shuffles, two decoys; three emptied functions when the spec names one."""
    return rerun_example(title, spec, plan, verdict, *runs)


_LOOKED_UP = {**_YES, "edits": [], "numbers": ["64", "0.969", "2"]}
_OTHER_NAME = {**_LOOKED_UP, "lines": ["validation: FAILED"], "numbers": ["64", "0.969", "1"]}
_WITH_FUNCTION = _SPEC.model_copy(update={"function": "src/ablate.py:ablate"})
_NO_LOAD = {**_YES, "sham_applied": False}
_NOT_READ = {**_YES, "files": []}

CHECK = Check(
    kind="validation_strength",
    dimension=Dimension.COHERENCE,
    rung=Rung.L0,
    spec=ValidationStrengthSpec,
    plan=plan,
    decide=decide,
    negate=no_negation,
    refuted_by=refuted_by,
    problems=problems,
    needs_model=False,
    functional=False,
    doc=__doc__,
    examples=(
        _worked("it fails on every sham", Verdict.SUPPORTED, _YES, _NO, _NO, _NO, _NO),
        _worked("it fails on one of each", Verdict.SUPPORTED, _YES, _NO, _YES, _YES, _NO),
        _worked("it always passes", Verdict.VACUOUS, _YES, _YES, _YES, _YES, _YES),
        _worked("any components pass", Verdict.VACUOUS, _YES, _NO, _NO, _YES, _YES),
        _worked("a list of names and no weights", Verdict.VACUOUS, _YES, _YES, _YES, _NO, _NO),
        _worked(
            "it needs the function",
            Verdict.SUPPORTED,
            *(_YES, _NO, _NO, _NO, _NO, _NO, _NO, {**_YES, "exit_code": 1}),
            spec=_WITH_FUNCTION,
        ),
        _worked(
            "the function may do anything",
            Verdict.VACUOUS,
            *(_YES, _NO, _NO, _NO, _NO, _YES, _YES, _YES),
            spec=_WITH_FUNCTION,
        ),
        _worked(
            "accuracy, and names looked up in a list",
            Verdict.INCONCLUSIVE,
            *(_LOOKED_UP, _NO, _NO, _OTHER_NAME, {**_OTHER_NAME, "exit_code": 1, "numbers": []}),
        ),
        _worked(
            "a measure of the components without hooks",
            Verdict.SUPPORTED,
            *(_LOOKED_UP, _NO, _NO, {**_OTHER_NAME, "numbers": ["64", "0.969", "0.11"]}, _NO),
        ),
        _worked("no model ran", Verdict.VACUOUS, *([{**_YES, "forwards": 0}] * 5)),
        _worked("it does not even pass", Verdict.REFUTED, _NO, _NO, _NO, _NO, _NO),
        _worked(
            "no sham could be handed out",
            Verdict.NOT_TESTABLE,
            _NO_LOAD,
            _NO_LOAD,
            _NO_LOAD,
            _NOT_READ,
            _NOT_READ,
        ),
        _worked(
            "it crashes on shams, which is no pass",
            Verdict.SUPPORTED,
            _YES,
            *([{**_YES, "exit_code": 1}] * 4),
        ),
        _worked(
            "every sham ran out of time",
            Verdict.INCONCLUSIVE,
            _YES,
            *([{**_NO, "status": "timed_out"}] * 4),
        ),
        _worked(
            "the shams that ended pass",
            Verdict.VACUOUS,
            *(_YES, _YES, {**_NO, "status": "timed_out"}, _YES, _YES),
        ),
        _worked(
            "the ledger was forged",
            Verdict.REFUTED,
            {**_YES, "standing": "forged"},
            _NO,
            _NO,
            _NO,
            _NO,
        ),
    ),
)
