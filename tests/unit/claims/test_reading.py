import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_mecheval.bundle.discovery import discover
from pytest_mecheval.claims.location import claim_file_for
from pytest_mecheval.claims.model import function_name
from pytest_mecheval.claims.reading import problems_of, read_claims
from pytest_mecheval.errors import ClaimFileError, StaleClaimsError, UsageError

NAME = "induction_heads.claims.yaml"


@pytest.fixture
def problems(claim_file, bundle):
    def read(text):
        return problems_of(claim_file(text), bundle)[1]

    return read


def test_a_sound_file_is_read_as_written(claim_file, bundle, fresh):
    claims = read_claims(claim_file(fresh), bundle)
    first, second = claims.claims
    assert (first.id, first.kind, first.headline, first.operationalised) == (
        "l1h6-necessary",
        "ablation",
        True,
        ("value",),
    )
    assert first.spec["components"] == ["a1.h6"]
    assert (second.spec, second.edited) == ({"value": "2.1"}, False)
    assert claims.subject.tasks["repeated"].generator == "induction"
    assert claims.subject.tasks["repeated"].parameters == {"vocab": 64, "length": 24}
    assert claims.subject.tasks["theirs"].file == "data/prompts.jsonl"
    assert claims.subject.model is not None
    assert claims.subject.model.weights == "model/model.safetensors"
    assert [entry.id for entry in claims.entries()] == [
        "l1h6-necessary",
        "drop-size",
        "plan-1",
        "elegance",
    ]


def test_all_problems_of_all_sorts_come_in_one_error(claim_file, bundle, fresh):
    text = (
        fresh.replace("  kind: ablation", "  knid: ablation")
        .replace('line: 3, text: "the logit', 'line: 4, text: "the logit')
        .replace("id: plan-1", "id: drop-size")
        .replace("id: elegance", "id: Elegance_1")
        .replace("sha256:PLANHASH", "sha256:0")
        .replace("bundle: induction_heads", "bundel: induction_heads")
        .replace("length: 24}", "length: 24, length: 25}")
    )
    with pytest.raises(ClaimFileError) as caught:
        read_claims(claim_file(text), bundle)
    assert list(caught.value.problems) == [
        f"{NAME}: line 10, column 61: key 'length' is given twice",
        f"{NAME}: unknown field 'bundel' (closest: bundle)",
        f"{NAME}: claim 'l1h6-necessary': unknown field 'knid' (closest: kind)",
        f"{NAME}: claim 'drop-size': quote 'the logit difference drops by 2.1 nats': "
        "found at line 3, not 4, of logs/documentation.md",
        f"{NAME}: plan step 'drop-size': id is used twice, by claims[1] (line 19) "
        "and plan[0] (line 24)",
        f"{NAME}: not_testable 'Elegance_1': field 'id': 'Elegance_1' is not kebab-case "
        "(lower-case words joined by '-': copy-head)",
    ]
    assert str(caught.value).count("\n") == 5


def test_sound_entries_survive_beside_broken_ones(claim_file, bundle, fresh):
    claims, problems = problems_of(claim_file(fresh.replace("kind: ablation", "")), bundle)
    assert problems == [f"{NAME}: claim 'l1h6-necessary': missing field 'kind'"]
    assert claims is not None
    assert [claim.id for claim in claims.claims] == ["drop-size"]
    assert len(claims.plan) == len(claims.not_testable) == 1


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("format: 1", "format: 2", "field 'format': must be 1, got 2"),
        ("format: 1\n", "", "missing field 'format'"),
        ("loader: transformer_lens", "loader: tl", "field 'subject.model.loader': must be "),
        (", weights: model/model.safetensors", "", "loader transformer_lens needs weights"),
        ("config: model", "config: ../model", "leaves the bundle with '..'"),
        ("config: model", "config: /model", "is absolute"),
        ("{file: data/prompts.jsonl}", "{file: a.jsonl, vocab: 3}", "'subject.tasks.theirs.vocab'"),
        ("{file: data/prompts.jsonl}", "{file: a, generator: b}", "exactly one of generator, file"),
        ("{file: data/prompts.jsonl}", "{}", "needs exactly one of generator, file, entry"),
        ("{file: data/prompts.jsonl}", "{entry: run.py}", "must look like src/data.py:make_batch"),
        ("line: 6", 'line: "6"', "field 'quote.line': must be a whole number, got '6'"),
        ("line: 6", "line: 0", "greater than or equal to 1, got 0"),
        ("operationalised: [value]", "operationalised: value", "must be a list, got 'value'"),
        ("id: elegance", "id: 7", "field 'id': must be text (put it in quotes), got 7"),
        ("id: elegance", f"id: {'a' * 81}", "at most 80 characters"),
        ("id: elegance", "id: a--b", "not kebab-case"),
        ("- id: elegance\n  quote", "- quote", "not_testable[0] (line 28): missing field 'id'"),
        ("logs/plan.md: sha256:", "logs/plan.md: md5:", "must be sha256: and 64 hex digits"),
        ("bundle: induction_heads", "bundle: [", "line "),
        ("headline: true", "headline: !!bool true", "tags (tag:yaml.org,2002:bool)"),
    ],
)
def test_each_mistake_has_its_own_line(problems, fresh, old, new, problem):
    assert old in fresh
    found = problems(fresh.replace(old, new))
    assert any(problem in line for line in found), found
    assert all(line.startswith(f"{NAME}: ") for line in found)


@pytest.mark.parametrize(
    ("quote", "problem"),
    [
        ("logs/documentation.md, line: 3, text: 'head 1.6 destroys'", None),
        ("logs/documentation.md, line: 4, text: 'drops by 2.1'", None),
        (
            "logs/documentation.md, line: 1, text: 'head 1.6'",
            "quote 'head 1.6': found at line 3, not 1, of logs/documentation.md",
        ),
        (
            "logs/documentation.md, line: 3, text: 'head 1'",
            "quote 'head 1': cuts a word or number in two at line 3 of logs/documentation.md",
        ),
        (
            "logs/documentation.md, line: 3, text: 'Ablate each layer-1 head'",
            "quote 'Ablate each layer-1 head': not in logs/documentation.md, but at logs/plan.md:3",
        ),
        (
            "logs/documentation.md, line: 6, text: 'Head 9.9'",
            "quote 'Head 9.9': logs/documentation.md has no such text; "
            "line 6 reads 'The circuit is elegant.'",
        ),
        (
            "logs/documentation.md, line: 99, text: 'Head 9.9'",
            "quote 'Head 9.9': logs/documentation.md has no such text; its text ends at line 7",
        ),
        (
            "log/documentation.md, line: 3, text: 'head'",
            "quote: no file log/documentation.md in the bundle (closest: logs/documentation.md)",
        ),
        (
            "../secret, line: 1, text: 'key'",
            "field 'quote.file': path '../secret' leaves the bundle with '..'",
        ),
    ],
)
def test_quotes_are_verbatim_at_their_place(problems, fresh, quote, problem):
    old = 'logs/documentation.md, line: 6, text: "The circuit is elegant."'
    found = problems(fresh.replace(old, quote))
    place = f"{NAME}: not_testable 'elegance': "
    assert found == ([] if problem is None else [place + problem])


def test_a_quoted_file_that_was_passed_over_is_not_called_missing(claim_file, bundle, fresh):
    """Somebody who sees the file in its folder needs the reason, not the name of another one."""
    path = bundle.root / "logs/documentation.md"
    path.rename(path.with_name("elsewhere.md"))
    path.symlink_to("elsewhere.md")
    found = problems_of(claim_file(fresh), discover(bundle.root))[1]
    quotes = [line for line in found if ": quote: " in line]
    assert quotes
    assert all(": quote: logs/documentation.md: " in line for line in quotes), quotes
    assert all(line.endswith("skipped") for line in quotes)


def test_a_file_without_entries_says_so(problems, fresh):
    assert f"{NAME}: no claims, plan or not_testable entries, so nothing to check" in problems(
        fresh.partition("claims:\n")[0]
    )


def test_missing_odd_and_oversized_files(tmp_path, bundle, claim_file):
    path = tmp_path / NAME
    with pytest.raises(ClaimFileError, match="no such claim file"):
        read_claims(path, bundle)
    os.mkfifo(path)
    with pytest.raises(ClaimFileError, match="not a regular file"):
        read_claims(path, bundle)
    path.unlink()
    path.mkdir()
    with pytest.raises(ClaimFileError, match="not a regular file"):
        read_claims(path, bundle)
    path.rmdir()
    with pytest.raises(ClaimFileError, match=r"line 2: not UTF-8"):
        read_claims(claim_file(b"format: 1\nbundle: \xff"), bundle)
    with pytest.raises(ClaimFileError, match="more than"):
        read_claims(claim_file("#" * (2**20 + 1)), bundle)


@pytest.mark.parametrize("text", ["", "~", "3", "[]", "- a", "just words"])
def test_what_is_no_mapping_says_how_to_begin(problems, text):
    assert problems(text) == [f"{NAME}: must be a mapping that begins with 'format: 1'"]


WORDS = st.sampled_from(
    [
        *("format: 1", "bundle: x", "documents: {}", "claims:", "plan:", "subject:", "- id: a-b"),
        *("  kind: ablation", "  quote: {file: a, line: 1, text: x}", "  spec: {}", "- 3", "- []"),
        *(
            "claims: {}",
            "not_testable: 4",
            "  quote: 3",
            "\x1b[2J",
            "&a",
            "*a",
            "{",
            "? x",
            "- id:",
        ),
    ]
)


@settings(
    deadline=None, max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.binary(max_size=200)
    | st.text(max_size=200).map(str.encode)
    | st.lists(WORDS, max_size=12).map(lambda lines: "\n".join(lines).encode())
)
def test_arbitrary_content_is_never_more_than_a_usage_error(claim_file, bundle, content):
    with pytest.raises(UsageError) as caught:
        read_claims(claim_file(content), bundle)
    assert all(line.isprintable() for line in str(caught.value).split("\n"))


@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_one_damaged_place_is_never_more_than_a_usage_error(claim_file, bundle, fresh, data):
    start = data.draw(st.integers(0, len(fresh) - 1))
    length = data.draw(st.integers(0, 40))
    damaged = fresh[:start] + data.draw(st.text(max_size=6)) + fresh[start + length :]
    try:
        read_claims(claim_file(damaged.encode("utf-8", "replace")), bundle)
    except UsageError as error:
        lines = str(error).split("\n")
        assert all(line.isprintable() for line in lines), lines


def test_ids_become_distinct_function_names():
    names = {function_name(name) for name in ("l1h6-necessary", "1", "class", "a-b", "ab")}
    assert len(names) == 5
    assert all(name.isidentifier() for name in names)


def test_claim_file_lies_beside_the_bundle(root, monkeypatch, tmp_path):
    monkeypatch.chdir(root)
    expected = tmp_path / NAME
    for written in (root, type(root)("."), root / "logs" / "..", type(root)("../induction_heads")):
        assert claim_file_for(written).resolve() == expected


def test_stale_alone_is_its_own_error(claim_file, root, fresh):
    (root / "logs" / "plan.md").write_text("# Plan\n\n1. Ablate each layer-1 head twice.\n")
    path = claim_file(fresh)
    with pytest.raises(StaleClaimsError) as caught:
        read_claims(path, discover(root))
    assert str(caught.value) == (
        f"{NAME}: stale: logs/plan.md changed since the claims were written; "
        f"review the claims, then run: mecheval restamp {path}"
    )
