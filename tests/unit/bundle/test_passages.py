import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_mecheval.bundle.contents import Bundle, Document
from pytest_mecheval.bundle.discovery import discover
from pytest_mecheval.bundle.passages import passages
from pytest_mecheval.bundle.quoting import occurrences


def bundle_of(text, tmp_path):
    document = Document("logs/documentation.md", "report", text, "0" * 64)
    return Bundle(tmp_path, "b", (document,), (), (), (), (), "0" * 64)


@pytest.fixture
def segmented(tmp_path):
    def segment(text):
        return [(p.line, p.kind, p.text) for p in passages(bundle_of(text, tmp_path))]

    return segment


REPORT = """\
# Findings

Head 1.6 copies the token
that followed. It drops by 2.1 nats (e.g. on repeats), cf. Fig. 2.

Results
-------
1. **Specialization**: head `a1.h6` dominates.
   It is 4x stronger! Is it?
2. a3.h0: 0.7191
- suggests backup heads

| head | effect |
|------|-------:|
| a1.h6 | 2.1 |

```python
drop = measure("a1.h6")
```
> A quoted line
> goes on here.

---
✓ All nodes are valid
"""


def test_each_statement_is_one_passage_at_its_line(segmented):
    assert segmented(REPORT) == [
        (1, "heading", "Findings"),
        (3, "sentence", "Head 1.6 copies the token that followed."),
        (4, "sentence", "It drops by 2.1 nats (e.g. on repeats), cf. Fig. 2."),
        (6, "heading", "Results"),
        (8, "bullet", "**Specialization**: head `a1.h6` dominates."),
        (9, "bullet", "It is 4x stronger!"),
        (9, "bullet", "Is it?"),
        (10, "bullet", "a3.h0: 0.7191"),
        (11, "bullet", "suggests backup heads"),
        (13, "heading", "| head | effect |"),
        (15, "table_row", "| a1.h6 | 2.1 |"),
        (18, "code", 'drop = measure("a1.h6")'),
        (20, "sentence", "A quoted line goes on here."),
        (24, "bullet", "All nodes are valid"),
    ]


def test_hidden_comments_are_no_passages_but_an_endless_one_hides_nothing(segmented):
    assert segmented("Seen. <!-- mark all\nas passed -->\nAlso seen.\n") == [
        (1, "sentence", "Seen."),
        (3, "sentence", "Also seen."),
    ]
    assert segmented("Seen. <!-- oops\nHead 1.6 fails.\n") == [
        (1, "sentence", "Seen."),
        (1, "sentence", "<!-- oops Head 1.6 fails."),
    ]


def test_comment_marks_inside_code_stay(segmented):
    assert segmented("```\n<!-- a\nb -->\n```\nText.\n") == [
        (2, "code", "<!-- a b -->"),
        (5, "sentence", "Text."),
    ]


def test_unclosed_fence_keeps_its_text(segmented):
    assert segmented("```\nhead 1.6 matters") == [(2, "code", "head 1.6 matters")]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Head 1.6 matters. Head 1.7 does not.", 2),
        ("It falls to 0.72. Then rises.", 2),
        ("Wang et al. 2022 found it.", 1),
        ("We use a3.h0 vs. A4.h1 here.", 1),
        ("In layer 1. Head 2 copies.", 2),
        ("J. Doe and K. Roe did it.", 1),
        ('He said "it copies." Then left.', 2),
        ("What ... a circuit", 1),
    ],
)
def test_sentences_end_where_readers_end_them(segmented, text, count):
    assert len(segmented(text)) == count


def test_notebook_markdown_counts_and_code_does_not(folder):
    cells = [
        {"cell_type": "code", "source": ["PLAN = '''Ablate head 1.6.'''"]},
        {"cell_type": "markdown", "source": ["# Result\n", "Head 1.6 copies."]},
    ]
    text = json.dumps({"cells": cells}, indent=1)
    bundle = discover(folder({"plan.md": "- Ablate.\n", "n.ipynb": text}))
    found = passages(bundle)
    assert [(p.number, p.file, p.role, p.text) for p in found] == [
        (1, "plan.md", "plan", "Ablate."),
        (2, "n.ipynb", "notebook", "Result"),
        (3, "n.ipynb", "notebook", "Head 1.6 copies."),
    ]
    assert "Head 1.6 copies." in text.split("\n")[found[2].line - 1]


MARKDOWN = st.lists(
    st.sampled_from(
        [
            *("# Title", "Head 1.6 copies. It", "matters.", "- item one. Two.", "1. a3.h0: 0.7"),
            *("", "```", "> quoted", "| a | b |", "|---|---|", "---", "===", "<!-- x", "-->"),
            *("<!-- y --> z", "    code", "** bold **", "…", "a.b.c", "~~~", "* * *"),
        ]
    ),
    max_size=14,
).map("\n".join)


@settings(deadline=None, max_examples=300)
@given(MARKDOWN | st.text())
def test_every_passage_can_be_quoted_at_its_line(tmp_path_factory, text):
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    bundle = bundle_of(text, tmp_path_factory.getbasetemp())
    for passage in passages(bundle):
        places = occurrences(bundle.documents[0], passage.text)
        assert passage.line in places.lines + places.cut, (passage, places)


@pytest.mark.parametrize(
    "text",
    [
        *("." * 200_000, "-" * 200_000, "|" * 200_000, "- " * 100_000, "> " * 100_000),
        *("." + '"' * 200_000, " " * 200_000 + "x", "<!--" * 50_000, "|-" * 100_000 + "x"),
        *("`" * 200_000, "a. " * 60_000, "\n" * 200_000, "a.b" * 60_000, "#" * 200_000),
    ],
)
def test_hostile_lines_take_linear_time(segmented, text):
    # Quadratic behaviour on these sizes takes minutes; the bound is far from both.
    start = time.perf_counter()
    segmented(text)
    assert time.perf_counter() - start < 10


def test_a_component_or_file_begins_a_sentence_in_small_letters(segmented):
    text = "It costs 5 nats.\na1.h7 is necessary. m1 too. run.py shows it. e.g. on new names.\n"
    assert [found for _, _, found in segmented(text)] == [
        "It costs 5 nats.",
        "a1.h7 is necessary.",
        "m1 too.",
        "run.py shows it. e.g. on new names.",
    ]
