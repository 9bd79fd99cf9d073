import string

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_mecheval.bundle.strict_yaml import read_yaml
from pytest_mecheval.claims.model import Claim, ClaimFile, NotTestable, PlanItem, Quote
from pytest_mecheval.claims.reading import problems_of, read_claims
from pytest_mecheval.claims.writing import (
    claim_file_text,
    entry_digest,
    stamped_digests,
    write_claim_file,
)
from pytest_mecheval.errors import ClaimFileError


def test_a_claim_file_read_written_and_read_is_the_same(claim_file, fresh, bundle):
    claims = read_claims(claim_file(fresh), bundle)
    path = claim_file(claim_file_text(claims, ["by hand"]))
    assert problems_of(path, bundle) == (claims, [])
    assert claim_file_text(claims, ["by hand"]) == path.read_text()


def test_layout_is_what_people_write(claim_file, fresh, bundle):
    text = claim_file_text(read_claims(claim_file(fresh), bundle), ["A header."])
    assert text.startswith("# A header.\nformat: 1\nbundle: induction_heads\ndocuments:\n")
    assert "    repeated: {generator: induction, vocab: 64, length: 24}\n" in text
    assert '  spec: {value: "2.1"}\n' in text
    assert "  headline: true\n" in text
    assert "edited" not in text


TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=60
).filter(str.strip)
VALUE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | TEXT
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(string.ascii_letters, min_size=1, max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
IDS = st.from_regex(r"[a-z0-9]{1,6}(-[a-z0-9]{1,6}){0,3}", fullmatch=True)
QUOTES = st.builds(Quote, file=st.just("logs/a b.md"), line=st.integers(1, 10**6), text=TEXT)
SPECS = st.dictionaries(st.text(string.printable, min_size=1, max_size=8), VALUE, max_size=4)
CLAIMS = st.builds(
    Claim, id=IDS, kind=TEXT, quote=QUOTES, spec=SPECS,
    operationalised=st.lists(TEXT, max_size=2).map(tuple), headline=st.booleans(), edited=st.booleans(),
)  # fmt: skip
FILES = st.builds(
    ClaimFile,
    format=st.just(1),
    bundle=TEXT,
    documents=st.dictionaries(st.just("logs/a b.md"), st.just("sha256:" + "0" * 64)),
    claims=st.lists(CLAIMS, max_size=3).map(tuple),
    plan=st.lists(st.builds(PlanItem, id=IDS, quote=QUOTES, spec=SPECS), max_size=2).map(tuple),
    not_testable=st.lists(
        st.builds(NotTestable, id=IDS, quote=QUOTES, reason=TEXT), max_size=2
    ).map(tuple),
)


@settings(max_examples=300, deadline=None)
@given(FILES)
def test_whatever_a_claim_file_holds_comes_back_and_bytes_are_stable(claims):
    text = claim_file_text(claims, ["header"], map(entry_digest, claims.entries()))
    parsed = read_yaml(text)
    assert parsed.problems == ()
    assert ClaimFile.model_validate(parsed.data) == claims
    assert (
        claim_file_text(ClaimFile.model_validate(parsed.data), ["header"], stamped_digests(text))
        == text
    )
    assert stamped_digests(text) == {entry_digest(entry) for entry in claims.entries()}


@pytest.mark.parametrize(
    "word", ["no", "on", "1e9", "12:30", "0x1f", "~", "null", "2026-11-23", "1_0"]
)
def test_text_stays_text_for_every_reader_of_yaml(word):
    claims = ClaimFile(
        format=1, bundle=word, documents={},
        not_testable=(NotTestable(id="x", quote=Quote(file="a", line=1, text=word), reason=word),),
    )  # fmt: skip
    text = claim_file_text(claims)
    assert yaml.safe_load(text) == read_yaml(text).data
    assert yaml.safe_load(text)["bundle"] == word


def test_hidden_characters_are_spelled_out():
    quote = Quote(file="a", line=1, text="safe\u202eevil\u200b")
    claims = ClaimFile(
        format=1,
        bundle="x",
        documents={},
        not_testable=(NotTestable(id="x", quote=quote, reason="r"),),
    )
    text = claim_file_text(claims, ["head\nformat: 2"])
    assert "\u202e" not in text
    assert "\u200b" not in text
    assert ClaimFile.model_validate(read_yaml(text).data) == claims


def test_digest_tells_every_change_but_the_edited_mark(claim_file, fresh, bundle):
    claim = read_claims(claim_file(fresh), bundle).claims[0]
    assert entry_digest(claim) == entry_digest(claim.model_copy(update={"edited": True}))
    changed = claim.model_copy(update={"spec": {**claim.spec, "min_drop": 1.0}})
    assert entry_digest(claim) != entry_digest(changed)


def test_too_large_a_file_is_refused_and_the_old_one_stays(tmp_path):
    path = tmp_path / "x.claims.yaml"
    path.write_text("old")
    quote = Quote(file="a", line=1, text="x" * 9_000)
    many = tuple(NotTestable(id=f"n-{i}", quote=quote, reason="r") for i in range(200))
    with pytest.raises(ClaimFileError, match="larger than"):
        write_claim_file(path, ClaimFile(format=1, bundle="x", documents={}, not_testable=many))
    assert path.read_text() == "old"
