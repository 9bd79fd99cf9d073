"""Whatever a translator answers, a false sentence never becomes a claim that the truth would support."""

import json

import handmade_model
import pytest
from answering import OWNED, SPEC, STEP, SUBJECT, body, bundle_in, claim
from hand_written import FILES, loaded
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_mecheval.bundle.quoting import normalised, occurrences
from pytest_mecheval.checks.registry import checks
from pytest_mecheval.claims.candidates import candidates
from pytest_mecheval.claims.model import Claim, PlanItem, SubjectSection
from pytest_mecheval.translate.asks import Ask, Reply, Status
from pytest_mecheval.translate.guards import NEVER_FILLED_IN, Guard
from pytest_mecheval.translate.proposals import Fate, proposal, settled

TASKS = SubjectSection.model_validate(
    {**SUBJECT, "model": {"loader": "python", "entry": "run.py:f"}}
)
FALSE = "Ablating head 1.1 lowers the logit difference by more than 2.5 nats."
TRUE = "Ablating head 1.0 lowers the logit difference by more than 2.5 nats."
KEY = "Head 1.0 is the key head of the model and necessary."
SCORES = "The model reaches accuracy 0.250 and a loss of 1.500 nats on 128 prompts."
PROSE = f"# R\n\n## Results\n{FALSE}\n{TRUE}\n{KEY}\n{SCORES}\n"
DAMAGE = {"a1.h0": 4.0, "a1.h1": 0.0}
"""What is true of the model: only head 1.0 does anything, and so does 1.2, which nobody claims."""
TRUTH = {
    "accuracy": 0.9,
    "loss": 1.5,
    "logit_diff": 0.25,
    "prob": 0.25,
    "logprob": -0.25,
    "kl": 0.0,
}
"""The stated accuracy is false; the number 0.250 is true of other metrics."""


def asked() -> Ask:
    return Ask("x", "finding", "", "", {}, "")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    bundle = bundle_in(tmp_path_factory.mktemp("guards"), PROSE)
    found = {each.passage.text: each for each in candidates(bundle)}
    return bundle, Guard(bundle, TASKS), found


def outcome(world, text, answer):
    bundle, guard, found = world
    candidate = found[text]
    return guard.checked(proposal(Reply(asked(), Status.ANSWERED, answer), candidate, bundle))


def would_be_supported(entry: Claim) -> bool:
    """A rough oracle: what measuring would say, in the attacker's favour where the spec leaves room."""
    spec = dict(entry.spec.get("spec") or entry.spec)
    kind = str(entry.spec.get("check") or entry.kind)
    names = spec.get("components") or [spec.get("component") or spec.get("head") or ""]
    best = max((DAMAGE.get(str(name), 4.0) for name in names), default=0.0)
    if kind == "reported_number" and not spec.get("components"):
        return abs(TRUTH[spec["metric"]] - float(spec["number"])) < 0.01
    if kind in ("ablation", "patching", "ranking", "attribution", "attention", "faithfulness"):
        return best > float(spec.get("min_drop") or 0.0)
    return kind != "negative" or best == 0.0


def test_true_sentences_reach_a_claim(world):
    answer = body("claims", claim(TRUE, SPEC, owned=OWNED))
    result = outcome(world, TRUE, answer)
    assert result.fate is Fate.CLAIMED
    assert would_be_supported(result.entries[0])


NAMES = st.sampled_from(
    ["a1.h0", "a1.h1", "a0.h0", "m0", "a1.h2", "head 1.0", "L1H0", "input", "x"]
)
NUMBERS = st.sampled_from(
    [2.5, 0.0, 1e-9, -1.0, 1e9, 0.25, "0.250", "1.500", "2.5", True, None, "\u0661"]
)
FIELDS = {
    "task": st.sampled_from(["t", "u", ""]),
    "components": st.lists(NAMES, max_size=3),
    "value": st.sampled_from(["resample", "zero", "mean", "RESAMPLE"]),
    "positions": st.sampled_from(["all", "END", "nowhere"]),
    "metric": st.sampled_from([*TRUTH, "logit diff"]),
    "min_drop": NUMBERS, "min_share": NUMBERS, "min_mass": NUMBERS, "margin": NUMBERS,
    "min_faithfulness": NUMBERS, "number": NUMBERS, "n": st.sampled_from([1, 128, 0]),
    "quantity": st.sampled_from(["score", "damage", "attention"]),
    "direction": st.sampled_from(["harms", "helps", "denoising", "noising", "suppresses"]),
    "special": st.booleans(), "stratum": st.sampled_from(["fresh", "new_lengths", "easy"]),
    "head": NAMES, "component": NAMES, "query": st.just("END"), "key": st.just("INDUCTION_TARGET"),
    "entry": st.sampled_from(["run.py", "../run.py", "/etc/passwd"]), "order": st.lists(NAMES, max_size=2),
    "among": st.sampled_from(["listed", "heads"]), "file": st.just("results/x.json"), "evil": st.just(1),
}  # fmt: skip
FRAGMENTS = [
    FALSE, TRUE, KEY, SCORES, FALSE[:30], "head 1.1 lowers", "1.1", "", "all claims passed",
    "the logit difference by more than 2.5 nats.", "reaches accuracy 0.250", FALSE.upper(), "0.250",
]  # fmt: skip


MEASURED = {key: value for key, value in SPEC.items() if key != "min_drop"}
BASES = {
    "ablation": SPEC,
    "negative": MEASURED,
    "patching": {k: v for k, v in MEASURED.items() if k != "value"} | {"direction": "noising"},
    "faithfulness": {**MEASURED, "min_faithfulness": 0.9},
    "ranking": {**MEASURED, "order": ["a1.h0"], "among": "heads"},
    "reported_number": {"task": "t", "number": "0.250", "quantity": "score", "metric": "accuracy"},
    "attention": {"task": "t", "head": "a1.h0", "query": "END", "key": "INDUCTION_TARGET"},
    "attribution": {"task": "t", "component": "a1.h0"},
    "scope": {"check": "ablation", "strata": ["fresh", "new_lengths"], "spec": SPEC},
    "provenance": {"entry": "run.py", "number": "0.250"},
    "evidence_level": {"entry": "run.py", "heads": [1]},
}  # fmt: skip
BASES["ranking"].pop("components")
RAW = ["{", "[]", '{"a": NaN}', '{"a":1,"a":2}', ""]


@st.composite
def hostile_claims(draw, text):
    """A valid claim about the sentence with none to three of its parts exchanged."""
    kind = draw(st.sampled_from(["ablation", "ablation", "reported_number", *BASES]))
    spec = dict(BASES[kind])
    inner = dict(spec["spec"]) if kind == "scope" else spec
    wanted = sorted(
        set(FIELDS) & set(checks()["ablation" if kind == "scope" else kind].spec.model_fields)
    )
    for name in draw(st.lists(st.sampled_from(wanted), max_size=2, unique=True)) if wanted else ():
        inner[name] = draw(FIELDS[name])
    for name in draw(
        st.lists(st.sampled_from(sorted(inner)), max_size=draw(st.sampled_from([0, 0, 1])))
    ):
        inner.pop(name, None)
    if draw(st.integers(0, 30)) == 0:
        inner["evil"] = 1
    if kind == "scope":
        spec["spec"] = inner
    raw = json.dumps(spec) if draw(st.integers(0, 20)) else draw(st.sampled_from(RAW))
    owned = draw(
        st.sampled_from(
            [(), OWNED, [*OWNED, "metric"], [*OWNED, "min_drop"], ["components"], ["n"]]
        )
    )
    quote = text if draw(st.integers(0, 5)) else draw(st.sampled_from(FRAGMENTS))
    shown = "proof" if draw(st.integers(0, 40)) == 0 else kind
    return claim(quote, raw, shown, [name for name in owned if name in inner], "c")


NONSENSE = st.one_of(
    st.builds(
        body,
        st.sampled_from(["no_claim", "not_testable", "plan_step", "subject", "passed", "CLAIMS"]),
        hostile_claims(TRUE),
        reason=st.sampled_from(["", "marked as passed", "x" * 5_000]),
    ),
    st.builds(body, st.sampled_from(["no_claim", "not_testable"]), explanation=st.just("all fine")),
    st.dictionaries(
        st.sampled_from(["outcome", "claims", "verdict", "reason"]),
        st.recursive(st.none() | st.text(max_size=5) | st.integers(), st.lists, max_leaves=4),
        max_size=4,
    ),
)


@st.composite
def asked_and_answered(draw):
    text = draw(st.sampled_from([FALSE, FALSE, SCORES, KEY, TRUE]))
    if draw(st.integers(0, 9)) == 0:
        return text, draw(NONSENSE)
    many = draw(
        st.lists(hostile_claims(text), min_size=1, max_size=draw(st.sampled_from([1, 1, 3])))
    )
    return text, body("claims", *many)


@settings(max_examples=1_500, deadline=None, suppress_health_check=list(HealthCheck))
@given(asked_and_answered())
def test_no_hostile_answer_escapes_or_makes_a_false_sentence_green(world, case):
    text, answer = case
    bundle, _, found = world
    result = outcome(world, text, answer)
    assert settled(result).entries, "a statement with figures or components never vanishes"
    if result.fate is not Fate.CLAIMED:
        return
    for entry in result.entries:
        assert isinstance(entry, Claim)
        checks()[entry.kind].spec.model_validate(dict(entry.spec))
        assert normalised(entry.quote.text) in found[text].passage.text
        assert (
            entry.quote.line in occurrences(bundle.find(entry.quote.file), entry.quote.text).lines
        )
        assert not NEVER_FILLED_IN & {name.rpartition(".")[2] for name in entry.operationalised}
        if text == KEY:
            continue
        if text == FALSE and entry.kind not in ("provenance", "hard_coded"):
            assert entry.kind != "evidence_level", "it tests no size"
            assert not would_be_supported(entry), entry
        if text == SCORES and entry.kind == "reported_number" and entry.spec["number"] == "0.250":
            assert entry.spec["metric"] == "accuracy"
    if text == KEY:
        tested = [dict(entry.spec.get("spec") or entry.spec) for entry in result.entries]
        assert any(
            spec.get("special") is True or spec.get("among") == "heads" for spec in tested
        ) or all(not checks()[entry.kind].needs_model for entry in result.entries), result.entries


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name.partition(".")[0])
def test_every_hand_written_claim_would_pass_as_a_proposal(path):
    bundle, claims = loaded(path)
    guard = Guard(bundle, claims.subject)
    listed = candidates(bundle)
    groups: dict[int, list] = {}
    for entry in [*claims.claims, *(item for item in claims.plan if item.spec)]:
        text = normalised(entry.quote.text)
        at = next(
            i for i, c in enumerate(listed)
            if c.passage.file == entry.quote.file and text in c.passage.text
        )  # fmt: skip
        groups.setdefault(at, []).append(entry)
    for at, entries in groups.items():
        kind = "plan_step" if isinstance(entries[0], PlanItem) else "claims"
        many = [
            claim(e.quote.text, e.spec, getattr(e, "kind", "plan_step"), getattr(e, "operationalised", ()), e.id)
            for e in entries
        ]  # fmt: skip
        reply = Reply(asked(), Status.ANSWERED, body(kind, *many))
        result = guard.checked(proposal(reply, listed[at], bundle))
        assert result.fate is Fate.CLAIMED, result.reason
        assert [entry.quote for entry in result.entries] == [
            entry.quote.model_copy(update={"text": normalised(entry.quote.text)})
            for entry in entries
        ]


BAD = [
    ("quote of something else", claim("The model is perfect and fast.", SPEC, owned=OWNED), "ungrounded"),
    ("quote of a neighbour", claim(FALSE, SPEC, owned=OWNED), "ungrounded"),
    ("quote too short", claim("head 1.0", SPEC, owned=OWNED), "ungrounded"),
    ("quote that cuts a number", claim(TRUE[:-7], SPEC, owned=OWNED), "ungrounded"),
    ("unknown kind", claim(TRUE, SPEC, "proof", OWNED), "malformed"),
    ("plan step for a finding", claim(TRUE, STEP, "plan_step"), "malformed"),
    ("unknown field", claim(TRUE, {**SPEC, "verdict": "SUPPORTED"}, owned=OWNED), "invalid"),
    ("unknown task", claim(TRUE, {**SPEC, "task": "easy"}, owned=OWNED), "invalid"),
    ("spec that is no JSON", claim(TRUE, "{", owned=OWNED), "malformed"),
    ("threshold invented", claim(TRUE, {**SPEC, "min_drop": 0.001}, owned=[*OWNED, "min_drop"]), "invalid"),
    ("threshold not stated", claim(TRUE, {**SPEC, "min_drop": 0.001}, owned=OWNED), "ungrounded"),
    ("threshold left out", claim(TRUE, {k: v for k, v in SPEC.items() if k != "min_drop"}, owned=OWNED), "weakened"),
    ("another component", claim(TRUE, {**SPEC, "components": ["a1.h2"]}, owned=OWNED), "ungrounded"),
    ("component invented", claim(TRUE, {**SPEC, "components": ["a1.h2"]}, owned=[*OWNED, "components"]), "invalid"),
    ("another metric", claim(TRUE, {**SPEC, "metric": "accuracy"}, owned=OWNED), "ungrounded"),
    ("ranked, size forgotten", claim(TRUE, BASES["ranking"], "ranking", [*OWNED, "metric"]), "weakened"),
    ("turned around", claim(TRUE, {**SPEC, "direction": "helps"}, owned=OWNED), "weakened"),
    ("owning up to nothing", claim(TRUE, SPEC, owned=[*OWNED, "mood"]), "invalid"),
]  # fmt: skip


@pytest.mark.parametrize(("title", "proposed", "why"), BAD, ids=[title for title, _, _ in BAD])
def test_each_way_to_cheat_is_named(world, title, proposed, why):
    del title
    result = outcome(world, TRUE, body("claims", proposed))
    assert result.fate is Fate.FAILED
    assert result.reason.startswith(f"{why}: "), result.reason
    assert result.problems


def test_only_the_line_of_a_quote_is_ever_repaired(tmp_path):
    prose = PROSE.replace(
        TRUE, "Ablating head 1.0 lowers the logit\ndifference by more than 2.5 nats."
    )
    bundle = bundle_in(tmp_path, prose)
    candidate = next(c for c in candidates(bundle) if "1.0 lowers" in c.passage.text)
    part = {**claim("difference by more than 2.5 nats.", SPEC, owned=OWNED)}
    whole = claim(
        "Ablating head 1.0 lowers the\n logit  difference by more than 2.5 nats.", SPEC, owned=OWNED
    )
    for proposed, line in ((part, 6), (whole, 5)):
        reply = Reply(asked(), Status.ANSWERED, body("claims", proposed))
        (entry,) = proposal(reply, candidate, bundle).entries
        assert entry.quote.line == line


def test_what_the_bundle_did_is_no_substitute_for_a_model_that_can_be_measured(tmp_path):
    handmade_model.write(tmp_path / "b" / "model")
    bundle = bundle_in(tmp_path, PROSE)
    candidate = next(c for c in candidates(bundle) if c.passage.text == KEY)
    answer = body("claims", claim(KEY, BASES["evidence_level"], "evidence_level"))
    guard = Guard(bundle, SubjectSection.model_validate(SUBJECT))
    result = guard.checked(proposal(Reply(asked(), Status.ANSWERED, answer), candidate, bundle))
    assert result.reason.startswith("weakened: ")
    assert "which can be measured" in result.reason


def test_a_model_claim_without_a_model_says_so(world):
    bundle, _, found = world
    guard = Guard(bundle, SubjectSection())
    reply = Reply(asked(), Status.ANSWERED, body("claims", claim(TRUE, SPEC, owned=OWNED)))
    result = guard.checked(proposal(reply, found[TRUE], bundle))
    assert "needs a model" in result.reason
