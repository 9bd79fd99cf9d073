"""The picture is a PNG that shows the numbers: other numbers, other pixels; same numbers, same bytes."""

import io
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pytest_mecheval.evidence.decision import Control, Estimate, Shams
from pytest_mecheval.evidence.measurement import Evidence
from pytest_mecheval.report import plots
from pytest_mecheval.report.plots import effect_plot, raw_series
from pytest_mecheval.vocabulary import Verdict

Build = Callable[..., Any]
LARGEST_FILE = 60_000


def pixels(png: bytes | None) -> np.ndarray[Any, Any]:
    from matplotlib.image import imread

    assert png is not None
    return imread(io.BytesIO(png), format="png")


def test_it_decodes_and_has_the_promised_size(decision: Build, evidence: Evidence) -> None:
    png = effect_plot(
        decision(), raw_series(evidence, decision()), title="SUPPORTED: l1h6-necessary"
    )
    image = pixels(png)
    assert image.shape[1] == 800
    assert 0.5 < image[..., :3].mean() < 0.99


def test_same_numbers_same_bytes_other_numbers_other_pixels(decision: Build) -> None:
    base = effect_plot(decision())
    assert effect_plot(decision()) == base
    for change in (
        {"estimate": Estimate(1.9, 1.7, 2.1, 0.01, 256, "nats", "betting")},
        {"estimate": Estimate(2.131, 1.5, 2.352, 0.01, 256, "nats", "betting")},
        {"threshold": 0.9},
        {"controls": (Control("a1.h3", 0.8), Control("a0.h2", -0.1))},
    ):
        assert not np.array_equal(pixels(effect_plot(decision(**change))), pixels(base)), change


def test_it_is_readable_without_colour(decision: Build) -> None:
    grey = pixels(effect_plot(decision()))[..., :3].mean(axis=2)
    assert grey.min() < 0.35
    assert np.array_equal(np.unique(grey > 0.5), [False, True])


def test_the_fullest_picture_stays_small(decision: Build) -> None:
    rng = np.random.default_rng(0)
    controls = tuple(
        Control(f"random direction {i}", v) for i, v in enumerate(rng.normal(0, 1, 120))
    )
    values = {f"run {i}": rng.normal(i, 2, 5000) for i in range(5)}
    png = effect_plot(decision(controls=controls, shams=Shams(3, 20)), values, title="x" * 300)
    assert png is not None
    assert len(png) < LARGEST_FILE


@pytest.mark.parametrize(
    "estimate",
    [
        Estimate(0.0, 0.0, 0.0, 0.01, 1, "", ""),
        Estimate(1.0, -np.inf, np.inf, 0.01, 1, "$x^{", "\\frac{"),
        Estimate(-1e11, -2e11, np.nan, 0.01, 1, "\u6ce8\u610f", "\x1b[2K"),
        Estimate(1e-300, 0.0, 1e-300, 0.01, 1, "nats", "betting"),
    ],
)
def test_odd_numbers_and_odd_names_draw_without_complaint(
    decision: Build, estimate: Estimate
) -> None:
    odd = (Control("$\\alpha{", np.nan), Control("\u202e\u6ce8", 1.0))
    values = {"$": np.array([np.nan, np.inf]), "%": np.array([1.0])}
    assert pixels(
        effect_plot(decision(estimate=estimate, controls=odd), values, title="$\\x{")
    ).size


def test_no_number_no_picture(decision: Build) -> None:
    assert effect_plot(decision(Verdict.NOT_TESTABLE, estimate=None)) is None
    for value in (np.nan, np.inf, 1e30):
        assert effect_plot(decision(estimate=Estimate(value, 0, 1, 0.01, 1, "nats", "x"))) is None


def test_raw_values_shown_are_those_the_verdict_rests_on(
    decision: Build, evidence: Evidence
) -> None:
    series = raw_series(evidence, decision())
    assert list(series) == ["clean run", "a1.h6 from counterfactual"]
    assert series["clean run"].size == 256


def test_the_readers_matplotlib_settings_do_not_matter(decision: Build) -> None:
    from matplotlib import rc_context

    with rc_context({"font.size": 30, "axes.facecolor": "black", "savefig.dpi": 10}):
        assert effect_plot(decision()) == effect_plot(decision())
        dark = effect_plot(decision())
    assert dark == effect_plot(decision())


def test_reports_load_nothing_heavy_until_asked() -> None:
    code = (
        "import sys, pkgutil, importlib, pytest_mecheval.report as r\n"
        "for m in pkgutil.iter_modules(r.__path__): importlib.import_module(f'{r.__name__}.{m.name}')\n"
        "print([n for n in ('matplotlib', 'allure', 'allure_commons', 'scipy', 'torch', 'rich') if n in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert out.stdout.strip() == "[]"


def test_a_kept_picture_is_drawn_once_per_content(tmp_path):
    drawn = []

    def draw() -> bytes:
        drawn.append(1)
        return b"picture"

    assert [plots.kept(tmp_path, b"a", draw) for _ in range(2)] == [b"picture"] * 2
    assert plots.kept(tmp_path, b"b", draw) == b"picture"
    assert len(drawn) == 2
    assert plots.kept(None, b"a", draw) == b"picture"
    assert len(drawn) == 3
