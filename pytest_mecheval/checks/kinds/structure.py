"""Structure: the stated node list is well-formed. No functional content.

Question: do the nodes the bundle lists exist in the model, in the stated number, within the stated write budget?
Null: some node is unknown, listed twice, or a stated count or budget does not fit.
Statistic: exact counting; a head writes d_model / n_heads dimensions, an MLP d_model, the input none.
Blind spots: rung L0: a list can be perfectly well-formed and have nothing to do with the behaviour, so passing never counts as a supported finding.
Source: the published circuit tasks (write budget, naming); METHODS C-STRUCT.
"""

from typing import Annotated

import numpy as np
from pydantic import Field

from pytest_mecheval.checks.check import Check, Example, Subject, no_negation
from pytest_mecheval.checks.spec import Spec
from pytest_mecheval.checks.worked import SUBJECT
from pytest_mecheval.errors import UsageError
from pytest_mecheval.evidence.decision import Decision
from pytest_mecheval.evidence.measurement import Evidence, Measurement
from pytest_mecheval.vocabulary import Component, Dimension, ModelShape, Rung, Verdict
from pytest_mecheval.wire import Document, PlanStep, Slice

NO_CONTENT = "structural: says nothing about what the nodes do"
EXAMPLE_FIRST = "the first entry is an example sentence, not a node"


class StructureSpec(Spec):
    """What a claim about a node list must say before it can be checked."""

    file: str
    """JSON file of the bundle with a `nodes` list, relative to the bundle."""
    count: Annotated[int, Field(ge=0)] | None = None
    """Stated number of nodes, `input` included when listed; absent: not stated."""
    max_write: Annotated[int, Field(ge=0)] | None = None
    """Write budget in dimensions; absent: not stated."""
    write: Annotated[int, Field(ge=0)] | None = None
    """Stated write total in dimensions; absent: not stated."""


def plan(spec: StructureSpec, _subject: Subject) -> tuple[PlanStep, ...]:
    """The file's node list, read as data."""
    return (_step(spec),)


def decide(spec: StructureSpec, subject: Subject, evidence: Evidence) -> Decision:
    """Exact comparison with the model's shape and the stated totals."""
    needed = "existing, distinct nodes that agree with every stated total"
    if evidence.unavailable:
        reason = f"nothing: {evidence.unavailable}"
        return Decision(Verdict.NOT_TESTABLE, "missing artifact", reason, needed, Rung.L0)
    listed = [str(node) for node in evidence[_step(spec)].facts.get("nodes", [])]
    nodes = _without_example(listed)
    faults = _faults(spec, nodes, subject.shape)
    total = write_total(nodes, subject.shape)
    measured = f"{spec.file} lists {len(nodes)} nodes writing {total} dimensions"
    if faults:
        measured = f"{measured}; {'; '.join(faults)}"
        return Decision(Verdict.REFUTED, "does not fit", measured, needed, Rung.L0)
    notes = (NO_CONTENT, *([EXAMPLE_FIRST] if len(nodes) < len(listed) else []))
    return Decision(Verdict.SUPPORTED, "", measured, needed, Rung.L0, notes=notes)


def _without_example(nodes: list[str]) -> list[str]:
    """The list without a leading example sentence, which circuit files carry in the input's place."""
    first_is_sentence = bool(nodes) and nodes[0] not in _parsed(nodes) and " " in nodes[0].strip()
    return nodes[1:] if first_is_sentence else nodes


def write_total(nodes: list[str], shape: ModelShape) -> int:
    """Dimensions written by the nodes that name components.

    >>> write_total(["input", "a0.h1", "m1"], ModelShape(2, 4, 64, 64, 48, d_mlp=128))
    80
    """
    sizes = {"head": shape.d_model // shape.n_heads, "mlp": shape.d_model, "attn": shape.d_model}
    return sum(sizes.get(component.kind, 0) for component in _parsed(nodes).values())


def _faults(spec: StructureSpec, nodes: list[str], shape: ModelShape) -> list[str]:
    known = _parsed(nodes)
    unknown = [node for node in nodes if node not in known or not shape.has(known[node])]
    faults = [f"not in the model: {', '.join(unknown)}"] if unknown else []
    twice = sorted({node for node in nodes if nodes.count(node) > 1})
    if twice:
        faults.append(f"listed twice: {', '.join(twice)}")
    if not nodes:
        faults.append("the list is empty")
    if spec.count is not None and spec.count != len(nodes):
        faults.append(f"stated count {spec.count}")
    total = write_total(nodes, shape)
    if spec.write is not None and spec.write != total:
        faults.append(f"stated total {spec.write}")
    if spec.max_write is not None and total > spec.max_write:
        faults.append(f"over the budget of {spec.max_write}")
    return faults


def _parsed(nodes: list[str]) -> dict[str, Component]:
    found = {}
    for node in nodes:
        try:
            found[node] = Component.parse(node)
        except UsageError:
            continue
    return found


def _step(spec: StructureSpec) -> PlanStep:
    return PlanStep(Slice("", "evaluation", n=0), Document(spec.file))


def refuted_by(spec: StructureSpec) -> str:
    """What would refute it."""
    return f"a node of {spec.file} that does not exist, or a total that differs from the stated one"


def _listing(title: str, nodes: list[str], verdict: Verdict, **stated: int) -> Example:
    spec = StructureSpec(file="results/real_circuits_1.json", **stated)
    evidence = Evidence({_step(spec): Measurement(np.empty(0), facts={"nodes": nodes})})
    return Example(title, spec, SUBJECT, evidence, verdict)


CHECK = Check(
    kind="structure",
    dimension=Dimension.COHERENCE,
    rung=Rung.L0,
    spec=StructureSpec,
    plan=plan,
    decide=decide,
    negate=no_negation,
    refuted_by=refuted_by,
    cues=r"nodes?\b|circuit|budget|dimension|lists?\b|writ|components?\b",
    needs_model=False,
    functional=False,
    doc=__doc__,
    examples=(
        _listing("fits", ["input", "a0.h2", "a1.h1"], Verdict.SUPPORTED, count=3, max_write=32),
        _listing("no such head", ["a0.h9"], Verdict.REFUTED),
        _listing("off by one", ["a0.h2", "a1.h1"], Verdict.REFUTED, count=3),
        _listing("over budget", ["a0.h2", "a1.h1"], Verdict.REFUTED, max_write=31),
        _listing(
            "an example sentence first", ["When Mary and", "a0.h2"], Verdict.SUPPORTED, count=1
        ),
        _listing("twice", ["a0.h2", "a0.h2"], Verdict.REFUTED),
    ),
)
