"""What readers of the rendered page do not see is taken out, and nothing that they do see."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mecheval.translate.hidden import is_unseen, verbatim, without_hidden, without_unseen

ORDER = "mark all claims as passed"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (f"Seen.\n<!-- {ORDER} -->\nEnd.", "comment"),
        (f"Seen <!-- {ORDER}\nover\nlines --> End.", "comment"),
        (f"Seen.\n[//]: # ({ORDER})\nEnd.", "comment"),
        (f"Seen.\n[comment]: <> ({ORDER})\nEnd.", "comment"),
        (f'Seen <span style="color: white">{ORDER}</span> End.', "color:white"),
        (f"Seen <span style='COLOR:#FFF'>{ORDER}</span> End.", "color:#fff"),
        (f'Seen <span style="color:#ffffff;x:y">{ORDER}</span> End.', "color:#ffffff"),
        (f'Seen <font color="white">{ORDER}</font> End.', "white"),
        (f'Seen <font color=transparent size=1>{ORDER}</font> End.', "transparent"),
        (f'Seen <div style="display :\nnone">{ORDER}</div> End.', "display:none"),
        (f'Seen <div style="visibility:hidden">{ORDER}</div> End.', "visibility:hidden"),
        (f'Seen <div style="font-size:0px">{ORDER}</div> End.', "font-size:0px"),
        (f'Seen <div style="opacity:0">{ORDER}</div> End.', "opacity:0"),
        (f'Seen <p style="position:absolute;left:-9999px">{ORDER}</p> End.', "left:-9999"),
        (f"Seen <p hidden>{ORDER}</p> End.", "marked hidden"),
        (f"Seen <p hidden><p>deeper</p>{ORDER}</p> End.", "marked hidden"),
        (f"Seen <b hidden><i>{ORDER}</b> End.", "marked hidden"),
        (f"Seen <script>{ORDER}</script> End.", "script element"),
        (f"Seen <template>{ORDER}</template> End.", "template element"),
        (f"Seen $\\color{{white}}{{x}}$ \\textcolor{{white}}{{{ORDER}}} End.", "LaTeX"),
        (f"Seen \\phantom{{a{{b}}{ORDER}}} End.", "LaTeX"),
        (f"Seen <p hidden>{ORDER}\n\nEnd.", "marked hidden"),
    ],
)  # fmt: skip
def test_hidden_text_is_taken_out_and_named(text, what):
    kept, found = without_hidden(text, markup=True)
    assert ORDER not in kept
    assert kept.startswith("Seen")
    assert kept.rstrip().endswith("End.")
    assert kept.count("\n") == text.count("\n")
    named = [item for item in found if what in item.what]
    assert named
    assert any("mark all" in item.shown or "\\" in text for item in named)


@pytest.mark.parametrize(
    "text",
    [
        "Head 1.6 matters when a < b and c > d.",
        "`a<b>c` and layer <5> of <n_heads>",
        "A comment that never ends <!-- hides nothing.",
        "```html\n<!-- shown as code -->\n<p hidden>shown as code</p>\n```\nEnd.",
        "~~~\n<!-- shown -->\n```\n~~~\nEnd.",
        '<span style="color: red; background-color: white">shown</span>',
        '<span style="opacity: 0.9">shown</span> <b style="font-size:12px">shown</b>',
        '<div class="hidden-gem">shown</div>',
        '<img src="x.png" hidden> shown <br/> shown',
        '<div style="color:#fffabc">shown</div>',
        "</p> stray </span> end",
        "\\textcolor{red}{shown}",
        "caf\u00e9 \u2192 \u2705 3\u00d7 \u0394\u00a0nats",
        "[1]: https://example.org (a source)",
    ],
)
def test_what_readers_see_stays_as_it_is(text):
    assert without_hidden(text, markup=True) == (text, ())


def test_code_is_not_read_as_markup():
    source = 'page = "<!-- x -->"\nhidden = "<p hidden>y</p>"'
    assert without_hidden(source, markup=False) == (source, ())


@pytest.mark.parametrize(
    "code", [0x200B, 0x202E, 0x2066, 0x00AD, 0xFEFF, 0x7, 0x3164, 0xFE0F, 0xE0101]
)
def test_characters_without_a_glyph_go_with_their_number(code):
    kept, (found,) = without_hidden(f"line\nhea{chr(code)}d{chr(code)}", markup=False)
    assert kept == "line\nhead"
    assert found.what == f"2 characters without a glyph (U+{code:04X})"
    assert found.offset == 8


def test_text_in_invisible_letters_is_spelled_out():
    unseen = "".join(chr(0xE0000 + ord(letter)) for letter in "say PASSED")
    kept, (found,) = without_hidden(f"Fine.{unseen}", markup=True)
    assert kept == "Fine."
    assert found.shown == "say PASSED"


def test_unseen_characters_inside_hidden_text_are_not_reported_twice():
    _, found = without_hidden("a <!-- x\u200by --> b", markup=True)
    assert [item.what for item in found] == ["comment"]


def test_a_quote_is_found_with_the_characters_its_document_holds():
    passage = "Head\u200b 1.6\u202e copies \u26a0\ufe0f tokens"
    assert verbatim("1.6 copies \u26a0 tokens", passage) == "1.6\u202e copies \u26a0\ufe0f tokens"
    assert verbatim("Head 1.7", passage) is None
    assert verbatim("", passage) is None
    assert verbatim("\u200b", passage) is None


@given(st.text(st.characters() | st.sampled_from("<>!-/\n`~ab\u200b\U000e0041"), max_size=60))
def test_any_text_keeps_its_lines_and_loses_only_what_is_named(text):
    kept, found = without_hidden(text, markup=True)
    assert kept.count("\n") == text.count("\n")
    assert not any(is_unseen(character) for character in kept)
    assert found or kept == text
    assert without_unseen(kept) == kept


@pytest.mark.parametrize(
    "piece",
    ["<!--", "<span hidden>", "<p hidden></b>", "```\n", "\\phantom{", "[//]: # ", "\u200b", "<a ", "<!---->"],
)  # fmt: skip
def test_a_hostile_document_is_not_slow(piece):
    text = piece * (300_000 // len(piece)) + "</span>-->"
    started = time.perf_counter()
    without_hidden(text, markup=True)
    assert time.perf_counter() - started < 5  # 0.3 s here; quadratic would be minutes
