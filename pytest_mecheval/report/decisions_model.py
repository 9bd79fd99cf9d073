"""The shape of `decisions.json`, field by field; its JSON Schema is `docs/decisions.schema.json`.

Documents are written by `decisions` and only checked here, so that a hand-edited or foreign file gets one
clear message, and readers in other languages have a schema that is never out of date.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pytest_mecheval.report.spread import STEPS

DRAFT = "https://json-schema.org/draft/2020-12/schema"

Number = float | Literal["NaN", "Infinity", "-Infinity"]
"""Strict JSON has no such numbers, so they are text."""
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
DimensionName = Literal["coherence", "reproducibility", "generalizability"]
VerdictName = Literal["SUPPORTED", "REFUTED", "INCONCLUSIVE", "NOT_TESTABLE", "VACUOUS"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class QuotePart(_Part):
    """The claim's own words, as the bundle has them: untrusted text."""

    file: str
    """Relative to the bundle."""
    line: Annotated[int, Field(ge=1)]
    text: str


class EstimatePart(_Part):
    """A number with one-sided bounds, each wrong with probability at most alpha."""

    value: Number
    lower: Number
    upper: Number
    alpha: Number
    n: Count
    """Independent units."""
    unit: str
    method: str


class ControlPart(_Part):
    """What the same measurement gives for something the claim does not name."""

    name: str
    value: Number
    """Mean effect in the claimed direction, the estimate's unit."""


class ShamsPart(_Part):
    """How often the same rule passes sham claims."""

    passed: Count
    tried: Count
    names: list[str]
    """The sham claims that passed."""


class EvidencePart(_Part):
    """One record that the decision read."""

    address: Sha256
    """Key into `records`."""
    task: str
    """What the claim file calls the task; empty when the step has none."""


class TestimonyPart(_Part):
    """What one run of a script of the bundle gave, cut down; untrusted text."""

    run: str
    """The script, and whether weights were shuffled or it was repeated."""
    ending: str
    standing: str
    """Of the run's ledger: complete, incomplete or forged."""
    ledger: list[str]
    """First rows: what was changed or looked at, where in the bundle."""
    numbers: list[str]
    """Some of the numbers it gave, the nearest to the stated one first."""
    count: Count
    """How many it gave."""
    stated: str
    """The claim's number; empty when there is none."""
    agrees: bool | None
    """Whether some number of the run rounds to the stated one."""


class _ClaimPart(_Part):
    format: Literal[2]
    claim: str
    kind: str
    dimension: DimensionName
    headline: bool
    """One of the bundle's main claims."""
    quote: QuotePart
    spec: dict[str, Any]
    """What the claim says, as its kind reads it (`mecheval schema`)."""
    operationalised: list[str]
    """Fields of `spec` that the evaluator filled in because the prose did not say."""
    evidence: list[EvidencePart]
    unavailable: str
    """Why nothing could be measured; empty when it could."""
    subject: str
    """Key into `subjects`; empty when the claim was not decided."""
    isolation: list[str]
    """Keys into `isolations`: what was in force while scripts of the bundle ran for this claim."""
    testimony: list[TestimonyPart] = []
    """What runs of the bundle's scripts gave for this claim."""
    provenance: dict[str, Any]
    problem: str = ""
    """What went wrong on our side; never a verdict."""


class DecidedPart(_ClaimPart):
    """A claim with a verdict."""

    state: Literal["decided"]
    verdict: VerdictName
    code: str
    """Short reason such as `not special`; empty when SUPPORTED."""
    measured: str
    needed: str
    """What would have supported the claim, and so what refutes it."""
    rung: Literal["L0", "L1", "L2", "L3"]
    """What kind of evidence: structural, associational, interventional, predictive."""
    tier: Literal["T0", "T1", "T2", "T3"]
    """Who measured: prose, testimony of the bundle, we on the bundle's data, we alone."""
    estimate: EstimatePart | None
    threshold: Number | None
    """Smallest value that supports the claim, the estimate's unit."""
    controls: list[ControlPart]
    shams: ShamsPart | None
    p_value: Number | None
    notes: list[str]


class UndecidedPart(_ClaimPart):
    """A claim without a verdict: deselected, or our own failure."""

    state: Literal["not run", "error"]
    verdict: Literal["not run", "error"]


class SpreadPart(_Part):
    """How the values of one record lie."""

    n: Count
    mean: Number
    quantiles: Annotated[list[Number], Field(min_length=STEPS + 1, max_length=STEPS + 1)]
    """Lowest to highest in equal shares."""


class RecordPart(_Part):
    """One record of the evidence store, shared by all claims that need it."""

    content: Sha256
    """Hash of everything a decision can read of the record."""
    step: dict[str, Any]
    """What was measured: `slice` (which prompts) and `probe` (which run, edit and metric)."""
    spread: SpreadPart | None = None
    """For pictures only; no decision reads it."""


class SubjectPart(_Part):
    """What a claim is about, as its decision saw it."""

    model_config = ConfigDict(extra="allow")

    shape: dict[str, Any]
    """Size of the model: layers, heads, widths."""
    tasks: dict[str, Any]
    """Per task: strata, named positions, size of the population, tier."""
    claimed: list[str]
    """Components that any claim of the bundle says matter; never used as controls."""
    operationalised: list[str]


class ScorePart(_Part):
    """Share of SUPPORTED claims among the tested ones, with its exact interval."""

    supported: Count
    decided: Count
    share: Share | None
    """Null when nothing was tested."""
    lower: Share
    upper: Share
    level: Share


class ScoresPart(_Part):
    """The three dimensions."""

    coherence: ScorePart
    reproducibility: ScorePart
    generalizability: ScorePart


class CoveragePart(_Part):
    """How much of what the bundle states was tested at all."""

    tested: Count
    stated: Count


class FamilyPart(_Part):
    """All claims of the bundle taken as one family."""

    method: Literal["Holm"]
    alpha: Share
    adjusted: dict[str, Number]
    """Adjusted p-value by claim."""
    supported: list[str]
    not_supported: list[str]
    """SUPPORTED alone, but not in the family."""
    statement: str


class UntestedPart(_Part):
    """A statement that no check decides; it counts against coverage."""

    claim: str
    kind: str
    dimension: DimensionName
    quote: QuotePart
    reason: str


class BundlePart(_Part):
    """What was audited."""

    name: str
    sha256: str
    """Over all files of the bundle."""
    path: str
    """Relative to where pytest was started; empty when it lies elsewhere."""
    notes: list[str] = Field(default_factory=list)
    """What was odd about it: skipped files, hidden text, orders to a machine."""


class ClaimFilePart(_Part):
    """The claim file that was used."""

    name: str
    sha256: str


class SourcesPart(_Part):
    """Model and tasks without paths: with a step and the salt they give a record's address."""

    model: dict[str, Any] | None
    tasks: dict[str, dict[str, Any]]


class DecisionsDocument(_Part):
    """Everything one run found out about one bundle, and all that is needed to decide it again."""

    format: Literal[2]
    bundle: BundlePart
    claims_file: ClaimFilePart
    salt: str
    """Decides which fresh prompts were drawn."""
    sandbox: str
    """Isolation that was asked for."""
    versions: dict[str, str]
    sources: SourcesPart
    coverage: CoveragePart
    tiers: dict[Literal["T0", "T1", "T2", "T3"], Count]
    """Tested claims by who measured."""
    scores: ScoresPart
    family: FamilyPart
    decisions: list[Annotated[DecidedPart | UndecidedPart, Field(discriminator="state")]]
    """Sorted by claim."""
    untested: list[UntestedPart]
    records: dict[Sha256, RecordPart]
    """By address in the evidence store."""
    subjects: dict[str, SubjectPart]
    isolations: dict[str, dict[str, Any]]
    """Backend, what holds, what does not and why."""
    run: dict[str, Any]
    """What differs between equal runs; everything else has the same bytes."""


def decisions_schema() -> dict[str, Any]:
    """The JSON Schema of `decisions.json`, draft 2020-12."""
    return {"$schema": DRAFT, **DecisionsDocument.model_json_schema()}
