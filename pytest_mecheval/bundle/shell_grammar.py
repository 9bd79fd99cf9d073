"""How the words of a shell script form commands: pipelines, redirections, where a loop ends."""

from dataclasses import dataclass

from pytest_mecheval.bundle.shell_starts import ROOT
from pytest_mecheval.bundle.shell_words import NotUnderstood, Operator, Token, Word, tokens

MAX_TOKENS = 20_000
_ENDS = (";", "\n", "&", "&&", "||", "|")


@dataclass
class Simple:
    """One command of a pipeline with its redirections taken off."""

    words: list[Word]
    line: int
    output: Word | None = None
    appended: bool = False


def read_tokens(text: str) -> list[Token]:
    """The tokens of a script.

    Raises:
        NotUnderstood: see `tokens`; or it is longer than any script we read.
    """
    if ROOT in text:
        raise NotUnderstood("line 1: it holds a NUL character")
    found = tokens(text)
    if len(found) > MAX_TOKENS:
        raise NotUnderstood(f"line 1: longer than {MAX_TOKENS} words")
    return found


def text_of(token: Token) -> str | None:
    """An operator, or a word that needs no expansion."""
    return token.text if isinstance(token, Operator) else token.literal


def skipped(found: list[Token], at: int, operators: tuple[str, ...]) -> int:
    """The first place from here on that holds none of these operators."""
    while at < len(found) and isinstance(token := found[at], Operator) and token.text in operators:
        at += 1
    return at


def end_of_loop(found: list[Token], at: int, line: int) -> int:
    """Where the `done` of the `do` at this place is.

    Raises:
        NotUnderstood: there is none.
    """
    depth = 0
    for index in range(at, len(found)):
        token = found[index]
        # A keyword stands where a command starts; `echo done` is none.
        starts = (
            index == at
            or isinstance(found[index - 1], Operator)
            or text_of(found[index - 1]) == "do"
        )
        if isinstance(token, Word) and not token.quoted and starts:
            depth += (token.literal == "do") - (token.literal == "done")
            if depth == 0:
                return index
    raise NotUnderstood(f"line {line}: `for` without `done`")


def simple_command(found: list[Token], at: int) -> tuple[Simple, int]:
    """The words up to the next control operator, redirections taken off; and where that operator is.

    Raises:
        NotUnderstood: a redirection that is not output to a file.
    """
    simple = Simple([], found[at].line if at < len(found) else 0)
    while at < len(found):
        token = found[at]
        if isinstance(token, Word):
            simple.words.append(token)
            at += 1
            continue
        if token.text in _ENDS:
            break
        at += 1
        if token.text in ("2>&1", ">&2", "1>&2"):
            continue
        target = found[at] if at < len(found) else None
        if ">" not in token.text or "&" in token.text[1:] or not isinstance(target, Word):
            raise NotUnderstood(f"line {token.line}: `{token.text}` is not read")
        at += 1
        if not token.text.startswith("2"):
            simple.output, simple.appended = target, ">>" in token.text
    return simple, at
