"""Per-example values come back out of the CSV as they went in."""

import csv
import io

import numpy as np
import pytest

from pytest_mecheval.evidence.measurement import Evidence, Measurement
from pytest_mecheval.report.tables import columns, edit_label, step_label, values_csv
from pytest_mecheval.wire import (
    Attention,
    Attribution,
    Document,
    Intervention,
    PlanStep,
    Probe,
    Run,
    Slice,
)


def test_every_value_of_every_step(evidence: Evidence) -> None:
    rows = list(csv.reader(io.StringIO(values_csv(evidence))))
    header, *body = rows
    assert len(header) == 1 + 5
    assert len(body) == 256
    by_name = {}
    for index, name in enumerate(header[1:], start=1):
        by_name[name] = np.array([float(row[index]) for row in body if row[index]])
    for step, measurement in evidence.measurements.items():
        name = f"{step_label(step)} [repeated, fresh, {step.slice.split}]"
        np.testing.assert_allclose(by_name[name], measurement.values, rtol=1e-8)
    assert header[-1].endswith("calibration]")


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (Intervention(()), "clean run"),
        (Intervention((), base="counterfactual"), "counterfactual run"),
        (Intervention(("a1.h6",), "zero"), "a1.h6 zero-ablated"),
        (
            Intervention(("a0.h1", "m0"), "counterfactual", positions="END"),
            "a0.h1+m0 from counterfactual at END",
        ),
        (
            Intervention(("a1.h6",), "clean", "counterfactual"),
            "a1.h6 from clean in counterfactual run",
        ),
        (
            Intervention(("a0.h1",), "counterfactual", receivers=("a1.h1.k",)),
            "a0.h1 from counterfactual into a1.h1.k",
        ),
        (
            Intervention(("a1.h6",), "mean", joint="with_partners"),
            "a1.h6 mean-ablated (with partners)",
        ),
        (
            Intervention(("m0",), "counterfactual", rotation=3),
            "m0 from counterfactual (random direction 3)",
        ),
    ],
)
def test_interventions_in_words(edit: Intervention, text: str) -> None:
    assert edit_label(edit) == text


@pytest.mark.parametrize(
    ("probe", "text"),
    [
        (Run(Intervention(()), "loss"), "clean run, loss"),
        (Attention("a1.h6", "END", "S1"), "attention of a1.h6 from END to S1"),
        (Attribution("m0"), "direct attribution of m0"),
        (Document("results/nodes.json"), "document results/nodes.json"),
    ],
)
def test_probes_in_words(probe: Probe, text: str) -> None:
    assert step_label(PlanStep(Slice("t", "evaluation"), probe)) == text


def test_a_hostile_name_is_no_formula_and_no_second_line() -> None:
    step = PlanStep(Slice("t\n=1+1\x1b", "evaluation"), Document("=cmd()\r\n"))
    nan = Evidence({step: Measurement(np.array([np.nan, -1.5]))})
    rows = list(csv.reader(io.StringIO(values_csv(nan))))
    assert len(rows) == 3
    assert "\x1b" not in rows[0][1]
    assert [row[1] for row in rows[1:]] == ["nan", "-1.5"]
    assert values_csv(Evidence({})) == "unit\n"


def test_steps_whose_shortened_names_agree_keep_their_own_columns() -> None:
    circuits = [tuple(f"a0.h{i}" for i in range(6)), (*(f"a0.h{i}" for i in range(5)), "a1.h7")]
    steps = [
        PlanStep(Slice("t", "evaluation"), Run(Intervention(c, "mean"), "loss")) for c in circuits
    ]
    found = columns(
        Evidence({step: Measurement(np.array([float(i)])) for i, step in enumerate(steps)})
    )
    name = "a0.h0+a0.h1+a0.h2+3 more mean-ablated, loss [t, fresh, evaluation]"
    assert {key: values.tolist() for key, values in found.items()} == {
        name: [0.0],
        f"{name} #2": [1.0],
    }
