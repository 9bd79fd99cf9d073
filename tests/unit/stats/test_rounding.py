import math
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mecheval.stats.rounding import Stated, grim_possible


@pytest.mark.parametrize(
    ("text", "value", "decimals"),
    [
        ("0.7190", 0.719, 4),
        ("0.72", 0.72, 2),
        (".72", 0.72, 2),
        ("5.", 5.0, 0),
        ("72", 72.0, 0),
        ("98.5%", 0.985, 3),
        ("98.5 %", 0.985, 3),
        ("100%", 1.0, 2),
        ("1.2e-3", 0.0012, 4),
        ("1.2E+2", 120.0, -1),
        ("1.2x10^-3", 0.0012, 4),
        ("1.2 \u00d7 10\u207b\u00b3", 0.0012, 4),
        ("3\u00b710^{2}", 300.0, -2),
        ("\u22120.5", -0.5, 1),
        ("\u20130.5", -0.5, 1),
        ("+2.10", 2.1, 2),
        ("1\u2009234.5", 1234.5, 1),
        ("12\u202f345", 12345.0, 0),
        ("1,234,567.0", 1234567.0, 1),
        ("  0.30\u00a0", 0.3, 2),
        ("0", 0.0, 0),
        ("-0.00", 0.0, 2),
    ],
)
def test_written_numbers(text: str, value: float, decimals: int) -> None:
    stated = Stated(text)
    assert stated.value == value
    assert stated.decimals == decimals
    assert stated.half_unit == pytest.approx(0.5 * 10.0**-decimals, rel=1e-15)
    assert stated.text == text


def test_signs_of_precision_are_kept() -> None:
    assert Stated("0.719").interval == (0.7185, 0.7195)
    assert Stated("0.7190").interval == (0.71895, 0.71905)
    assert Stated("~0.72").approximate
    assert Stated("\u2248 0.72").approximate
    assert not Stated("0.72").approximate
    assert Stated("98.5%").percent
    assert not Stated("0.985").percent
    assert Stated("98.5%").interval == (0.9845, 0.9855)


@pytest.mark.parametrize(
    "text",
    ["", "-", ".", "abc", "0.7.1", "0,72", "1,23", "1,2345", "1e", "0.72 nats", "--1", "nan", "inf",
     "1%%", "0x10", "1 to 2", "\u0663"],
)  # fmt: skip
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a number as prose states it"):
        Stated(text)


def test_both_ends_of_the_interval_match() -> None:
    # In binary 0.72 - 0.715 exceeds 0.005 and 1.005 lies below its decimal; neither may matter.
    for text, low, high in (("0.72", 0.715, 0.725), ("1.00", 0.995, 1.005), ("-3", -3.5, -2.5)):
        stated = Stated(text)
        assert stated.matches(low)
        assert stated.matches(high)
        assert not stated.matches(low - 1e-9)
        assert not stated.matches(high + 1e-9)


def test_tolerance_widens_the_match_and_nan_never_matches() -> None:
    stated = Stated("0.72")
    assert not stated.matches(0.73)
    assert stated.matches(0.73, tolerance=0.0051)
    assert not stated.matches(math.nan, tolerance=10.0)
    with pytest.raises(ValueError, match="tolerance -1"):
        stated.matches(0.72, tolerance=-1.0)
    with pytest.raises(ValueError, match="tolerance nan"):
        stated.matches(0.72, tolerance=math.nan)


@given(
    st.decimals(-(10**6), 10**6, allow_nan=False, allow_infinity=False, places=6), st.integers(0, 6)
)
def test_every_rounding_of_a_number_matches_it(number: Decimal, places: int) -> None:
    for rounding in (ROUND_HALF_EVEN, ROUND_HALF_UP):
        text = str(number.quantize(Decimal(1).scaleb(-places), rounding=rounding))
        if "E" in text:
            text = format(Decimal(text), "f")
        stated = Stated(text)
        assert stated.decimals == places
        assert stated.matches(float(number))
        low, high = stated.interval
        assert low <= stated.value <= high


@given(st.floats(-1e9, 1e9), st.integers(0, 12))
def test_python_formatting_is_read_back(number: float, places: int) -> None:
    for text in (f"{number:.{places}f}", f"{number:.{places}e}", f"{number:,.{places}f}"):
        assert Stated(text).value == float(text.replace(",", ""))
        assert Stated(f"{text}%").exact == Decimal(text.replace(",", "")) / 100


def test_grim_known_cases() -> None:
    assert not grim_possible("0.73", 50)
    assert not grim_possible("0.857", 30)
    assert not grim_possible("85.7%", 30)
    assert grim_possible("0.867", 30)
    with pytest.raises(ValueError, match="n 0"):
        grim_possible("0.5", 0)


@pytest.mark.parametrize("places", [1, 2, 3])
def test_grim_agrees_with_enumeration(places: int) -> None:
    scale = 10**places
    half = Fraction(1, 2 * scale)
    for n in range(1, min(scale, 120) + 1):
        # Every text that some m / n rounds to, in whichever direction ties go.
        reachable = set()
        for m in range(n + 1):
            share = Fraction(m, n)
            nearest = math.floor(share * scale)
            for units in (nearest, nearest + 1):
                if abs(share - Fraction(units, scale)) <= half:
                    reachable.add(units)
        for units in range(scale + 1):
            text = f"{units // scale}.{units % scale:0{places}d}"
            assert grim_possible(text, n) == (units in reachable), (text, n)


@given(st.integers(0, 10**4), st.integers(10**2, 10**6))
def test_grim_says_nothing_when_n_reaches_the_decimals(units: int, n: int) -> None:
    assert grim_possible(f"{units // 100}.{units % 100:02d}", n)
