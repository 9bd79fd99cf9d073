"""Words and operators of a shell script, as text: nothing is ever executed, and only the simple part of the language is known."""

import re
from dataclasses import dataclass

from pytest_mecheval.errors import BundleError

OPERATORS = ("&&", "||", "&>>", "&>", ";;", ">>", "<<", ";", "|", "&", ">", "<", "(", ")", "\n")
"""Longest first, so that `&&` is not read as two `&`."""
_BLANK = " \t"
_NAME = re.compile(r"[A-Za-z_]\w*")
_DESCRIPTOR = re.compile(r"[012]?(>>|>&|>|<)")
_BRACED = re.compile(r"([A-Za-z_]\w*|[0-9@*]|BASH_SOURCE\[0\])(?::?-([^${}`]*))?")


@dataclass(frozen=True, slots=True)
class Expansion:
    """A `$...` in a word."""

    text: str
    """Name of the variable, or for `command` the command's text without quotes."""
    command: bool = False
    """`$(...)` or backquotes."""
    default: str | None = None
    """What `${NAME:-default}` falls back to."""
    quoted: bool = False
    """Inside double quotes: its value is not split at blanks."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a command: literal texts and expansions, side by side."""

    parts: tuple[str | Expansion, ...]
    line: int
    """Counted from 1."""
    quoted: bool = False
    """Some of it was quoted: then it is neither a keyword nor an assignment."""

    @property
    def literal(self) -> str | None:
        """Its text when it needs no expansion."""
        texts = [part for part in self.parts if isinstance(part, str)]
        return "".join(texts) if len(texts) == len(self.parts) else None


@dataclass(frozen=True, slots=True)
class Operator:
    """A control or redirection operator; redirections hold their descriptor (`2>`)."""

    text: str
    line: int


Token = Word | Operator


class NotUnderstood(BundleError):
    """Something in a shell script that is not read."""


def tokens(text: str) -> list[Token]:
    """The words and operators of a script.

    Raises:
        NotUnderstood: an open quote, or an expansion of a kind that is not known; names the line.

    >>> [token.literal if isinstance(token, Word) else token.text for token in tokens("a 'b c' > d # e")]
    ['a', 'b c', '>', 'd']
    """
    return _Lexer(text).run()


class _Lexer:
    def __init__(self, text: str) -> None:
        self._text = text.replace("\r\n", "\n")
        self._at = 0
        self._line = 1

    def run(self) -> list[Token]:
        found: list[Token] = []
        while self._at < len(self._text):
            character = self._text[self._at]
            if character in _BLANK:
                self._at += 1
            elif self._text.startswith("\\\n", self._at):
                self._forward(2)
            elif character == "#":
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            elif (operator := self._operator()) is not None:
                found.append(Operator(operator, self._line))
                self._forward(len(operator))
            else:
                found.append(self._word())
        return found

    def _forward(self, count: int) -> str:
        taken = self._text[self._at : self._at + count]
        self._line += taken.count("\n")
        self._at += count
        return taken

    def _operator(self) -> str | None:
        if match := _DESCRIPTOR.match(self._text, self._at):
            whole = match[0]
            if whole.endswith(">&"):
                # `2>&1`: the descriptor it is copied from belongs to the operator.
                return whole + self._text[match.end() : match.end() + 1]
            if not self._text.startswith("<<", self._at):
                return whole
        return next((one for one in OPERATORS if self._text.startswith(one, self._at)), None)

    def _word(self) -> Word:
        line, quoted = self._line, False
        parts: list[str | Expansion] = []
        while self._at < len(self._text):
            character = self._text[self._at]
            if character in _BLANK or character in ";|&><()\n":
                break
            if character == "'":
                quoted = True
                parts.append(self._until("'"))
            elif character == '"':
                quoted = True
                parts.extend(self._double())
            elif character == "\\":
                self._forward(1)
                following = self._forward(1)
                parts.append("" if following == "\n" else following)
            elif character in "$`":
                parts.append(self._expansion(quoted=False))
            else:
                parts.append(self._forward(1))
        return Word(_joined(parts), line, quoted)

    def _until(self, quote: str) -> str:
        end = self._text.find(quote, self._at + 1)
        if end < 0:
            raise NotUnderstood(f"line {self._line}: a quote is not closed")
        return self._forward(end + 1 - self._at)[1:-1]

    def _double(self) -> list[str | Expansion]:
        start = self._line
        self._forward(1)
        parts: list[str | Expansion] = [""]
        while self._at < len(self._text):
            character = self._text[self._at]
            if character == '"':
                self._forward(1)
                return parts
            if character == "\\" and self._text[self._at + 1 : self._at + 2] in '"\\$`\n':
                self._forward(1)
                parts.append(self._forward(1).replace("\n", ""))
            elif character in "$`":
                parts.append(self._expansion(quoted=True))
            else:
                parts.append(self._forward(1))
        raise NotUnderstood(f"line {start}: a quote is not closed")

    def _expansion(self, *, quoted: bool) -> str | Expansion:
        line = self._line
        if self._text[self._at] == "`":
            return Expansion(_bare(self._until("`")), command=True, quoted=quoted)
        self._forward(1)
        following = self._text[self._at : self._at + 1]
        if following == "(":
            return Expansion(_bare(self._enclosed()), command=True, quoted=quoted)
        if following == "{":
            body = self._until_brace(line)
            match = _BRACED.fullmatch(body)
            if match is None:
                raise NotUnderstood(f"line {line}: ${{{body}}} is not read")
            return Expansion(match[1], default=match[2], quoted=quoted)
        if match := _NAME.match(self._text, self._at):
            return Expansion(self._forward(len(match[0])), quoted=quoted)
        if following and following in "0123456789@*":
            return Expansion(self._forward(1), quoted=quoted)
        if following and following in "#?$!-":
            raise NotUnderstood(f"line {line}: ${following} is not read")
        return "$"

    def _until_brace(self, line: int) -> str:
        end = self._text.find("}", self._at)
        if end < 0:
            raise NotUnderstood(f"line {line}: ${{ is not closed")
        return self._forward(end + 1 - self._at)[1:-1]

    def _enclosed(self) -> str:
        """The text between balanced parentheses."""
        start, line, depth = self._at, self._line, 0
        while self._at < len(self._text):
            character = self._forward(1)
            depth += (character == "(") - (character == ")")
            if depth == 0:
                return self._text[start + 1 : self._at - 1]
        raise NotUnderstood(f"line {line}: $( is not closed")


def _bare(command: str) -> str:
    """A command's text without quotes and with single blanks, for comparison with known ones."""
    return " ".join(command.replace('"', "").replace("'", "").split())


def _joined(parts: list[str | Expansion]) -> tuple[str | Expansion, ...]:
    found: list[str | Expansion] = []
    for part in parts:
        if isinstance(part, str) and found and isinstance(found[-1], str):
            found[-1] += part
        else:
            found.append(part)
    return tuple(found)
