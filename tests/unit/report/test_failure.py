"""The five lines, written out by hand here and compared letter by letter."""

import re
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_mecheval.checks.check import Check
from pytest_mecheval.checks.spec import Spec
from pytest_mecheval.evidence.decision import Estimate
from pytest_mecheval.report.columns import display_width
from pytest_mecheval.report.failure import COLUMNS, outcome_text
from pytest_mecheval.report.outcome import outcome
from pytest_mecheval.vocabulary import Tier, Verdict

Build = Callable[..., Any]


def failure_text(claim: Any, check: Check[Spec], decision: Any) -> str:
    return outcome_text(outcome(claim, check, decision))


def test_a_refuted_claim_reads_like_this(claim: Build, check: Check[Spec], decision: Build) -> None:
    decided = decision(
        Verdict.REFUTED,
        code="not special",
        estimate=Estimate(0.41, 0.2, 0.6, 0.01, 256, "nats", "betting"),
    )
    assert failure_text(claim(), check, decided) == (
        "l1h6-necessary: REFUTED (not special) [ablation, L2, T3]\n"
        '  claimed   "Ablating head 1.6 destroys induction"  logs/documentation.md:41\n'
        "  measured  resample-ablating a1.h6 drops logit_diff; 0.41 nats [0.2, 0.6] (99% one-sided, n=256,\n"
        "            betting); controls: 2, strongest a1.h3 0.4125 nats; sham claims: 0 of 14 pass\n"
        "  needed    a drop above 0.5 nats, larger than any matched control's\n"
        "  more      mecheval explain l1h6-necessary (1 note on this measurement)"
    )


def test_an_estimate_the_sentence_already_has_is_not_repeated(
    claim: Build, check: Check[Spec], decision: Build
) -> None:
    estimate = Estimate(0.98, 0.98, 0.98, 0.01, 12769, "", "exact")
    decided = decision(
        Verdict.INCONCLUSIVE,
        code="numerical",
        measured=f"accuracy is {estimate}",
        needed="0.985 after rounding",
        estimate=estimate,
        threshold=0.9854321,
        controls=(),
        shams=None,
        notes=(),
        tier=Tier.T2,
    )
    assert failure_text(claim(), check, decided) == (
        "l1h6-necessary: INCONCLUSIVE (numerical) [ablation, L2, T2]\n"
        '  claimed   "Ablating head 1.6 destroys induction"  logs/documentation.md:41\n'
        "  measured  accuracy is 0.98 (exact over 12769 inputs)\n"
        "  needed    0.985 after rounding; threshold 0.9854\n"
        "  more      mecheval explain l1h6-necessary"
    )


def test_a_long_quote_leaves_its_place_on_a_line_of_its_own(
    claim: Build, check: Check[Spec], decision: Build
) -> None:
    text = failure_text(
        claim(text="head 1.6 copies " * 5, file="logs/v2/doc.md", line=7), check, decision()
    )
    assert text.splitlines()[1:3] == [
        '  claimed   "head 1.6 copies head 1.6 copies head 1.6 copies head 1.6 copies head 1.6 copies"',
        "            logs/v2/doc.md:7",
    ]


def test_an_error_and_a_claim_not_run_say_so(made: Build) -> None:
    assert outcome_text(made(problem="worker gw1 crashed")) == (
        "l1h6-necessary: error [ablation]\n"
        '  claimed   "Ablating head 1.6 destroys induction"  logs/documentation.md:41\n'
        "  problem   worker gw1 crashed\n"
        "  more      mecheval explain l1h6-necessary"
    )
    assert "l1h6-necessary: not run [ablation]" in outcome_text(made())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    quote=st.text(), file=st.text(), measured=st.text(), code=st.text(), unit=st.text(max_size=9)
)
def test_hostile_words_change_neither_shape_nor_first_line(
    claim: Build,
    check: Check[Spec],
    decision: Build,
    quote: str,
    file: str,
    measured: str,
    code: str,
    unit: str,
) -> None:
    estimate = Estimate(1.0, 0.5, 1.5, 0.01, 9, unit, "betting")
    decided = decision(Verdict.VACUOUS, code=code, measured=measured, estimate=estimate)
    lines = failure_text(claim(text=quote, file=file), check, decided).split("\n")
    assert lines[0].startswith("l1h6-necessary: VACUOUS")
    assert all(display_width(line) <= COLUMNS for line in lines)
    assert [line.split()[0] for line in lines if re.match(r"  \S", line)] == [
        "claimed",
        "measured",
        "needed",
        "more",
    ]
    assert not any(
        line.lstrip().startswith("::") and line.lstrip()[2:3].isalpha() for line in lines
    )
