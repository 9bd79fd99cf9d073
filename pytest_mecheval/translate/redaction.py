"""What never leaves the machine: keys, tokens, passwords, e-mail addresses, absolute paths of the host.

Every pattern is bounded or linear. A redaction is named with its place; secrets themselves are not shown.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pytest_mecheval.bundle.escaping import escaped

SHOWN_CHARACTERS = 60
SECRET, ADDRESS, HOST_PATH = "secret", "e-mail address", "absolute path of a host"

_KEY_BLOCK = re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----")
_KEY_BLOCK_END = "PRIVATE KEY-----"
MAX_KEY_CHARACTERS = 20_000
"""Longest private key; one that is cut off ends with its paragraph."""
_TOKEN = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"sk-[A-Za-z0-9_-]{16,}"
    r"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}"
    r"|hf_[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{30,}"
    r"|(?:AKIA|ASIA)[0-9A-Z]{16}(?![0-9A-Z])|AIza[0-9A-Za-z_-]{30,}|xox[abprs]-[A-Za-z0-9-]{10,}"
    r"|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{5,}"
    r")"
)
_BEARER = re.compile(r"(?i)(?<![a-z])bearer ([a-z0-9._~+/=-]{16,})")
_ASSIGNED = re.compile(
    r"(?i)(?:api_?-?key|apikey|access_?-?key|secret(?:_?-?key)?|private_?-?key|passw(?:or)?d|passphrase"
    r"|(?:auth|access|api|hf|hub|bot|wandb|session)_?-?token)"
    r"[\"']?[ \t]{0,5}[:=][ \t]{0,5}[\"']?([a-z0-9+/_=.~!@#$%^&*-]{8,200})"
)
_URL_LOGIN = re.compile(r"(?<=://)([^\s/:@]{1,64}:[^\s/@]{1,128})@")
_ADDRESS = re.compile(
    r"(?<![\w.+@/-])[A-Za-z0-9_.+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,4}[A-Za-z]{2,12}(?![\w(\[.])"
)
_WINDOWS_PATH = re.compile(
    r"(?<![A-Za-z0-9])[A-Za-z]:\\{1,2}(?:[^\\\s\"'<>|:*?]{1,200}\\{1,2}){0,40}([^\\\s\"'<>|:*?]{0,200})"
)
_UNIX_PATH = re.compile(
    r"(?:(?<=file://)|(?<![\w./:~)\]}*-]))/(?:[\w.+@%-]{1,200}/){1,40}([\w.+@%-]{0,200})"
)
_HOST_ROOTS = frozenset(
    {
        *("home", "Users", "root", "mnt", "media", "data", "scratch", "tmp", "var", "private"),
        *("work", "workspace", "workspaces", "storage", "nfs", "net", "gpfs", "lustre", "projects"),
        *("project", "content", "kaggle", "Volumes", "export", "srv", "opt", "cluster", "shared"),
    }
)
"""First folders of paths that say something about a host; two parts are then enough."""
_EVERYWHERE = frozenset({"usr", "bin", "dev", "proc", "sys", "etc", "lib", "sbin"})
"""The same on every host, so they tell nothing."""
_PARTS_OF_A_PATH = 3
"""Under any other first folder: `/a/b` may be a division, `/a/b/c` hardly."""


@dataclass(frozen=True, slots=True)
class Redaction:
    """One thing that is not sent."""

    offset: int
    """Where it begins in the text."""
    what: str
    shown: str
    """The path or address; for a secret only its length."""


@dataclass(frozen=True, slots=True)
class _Find:
    start: int
    end: int
    what: str
    left: str
    """What stands in its place."""


def redacted(text: str, *, prose: bool) -> tuple[str, tuple[Redaction, ...]]:
    """A text without secrets and host paths, and what was taken out; line breaks stay.

    Args:
        text: a document, hidden characters already gone (they could split a key in two).
        prose: also take out e-mail addresses; in code `x@y.mean` is a matrix product.

    >>> redacted("saved to /home/ann/run/out.json", prose=True)[0]
    'saved to [host path]/out.json'
    """
    finds = sorted(_finds(text, prose), key=lambda find: (find.start, -find.end))
    parts: list[str] = []
    found: list[Redaction] = []
    position = 0
    for find in finds:
        if find.start < position:
            continue
        taken = text[find.start : find.end]
        shown = (
            f"{len(taken)} characters" if find.what == SECRET else escaped(taken, SHOWN_CHARACTERS)
        )
        found.append(Redaction(find.start, find.what, shown))
        parts += [text[position : find.start], find.left, "\n" * taken.count("\n")]
        position = find.end
    return "".join([*parts, text[position:]]), tuple(found)


def _finds(text: str, prose: bool) -> Iterator[_Find]:
    position = 0
    while match := _KEY_BLOCK.search(text, position):
        last = min(len(text), match.end() + MAX_KEY_CHARACTERS)
        end = text.find(_KEY_BLOCK_END, match.end(), last)
        if end < 0:  # cut off: as far as its paragraph goes
            end = text.find("\n\n", match.end(), last)
            position = last if end < 0 else end
        else:
            position = end + len(_KEY_BLOCK_END)
        yield _Find(match.start(), position, SECRET, "[private key]")
    for match in _TOKEN.finditer(text):
        yield _Find(*match.span(), SECRET, "[access token]")
    for pattern, accepts in ((_BEARER, _is_random), (_ASSIGNED, _is_random), (_URL_LOGIN, bool)):
        yield from _groups(pattern, text, accepts)
    if prose:
        for match in _ADDRESS.finditer(text):
            yield _Find(*match.span(), ADDRESS, "[e-mail address]")
    for match in _WINDOWS_PATH.finditer(text):
        yield _Find(*match.span(), HOST_PATH, f"[host path]\\{match[1]}")
    for match in _UNIX_PATH.finditer(text):
        if _tells_of_a_host(match[0]):
            yield _Find(*match.span(), HOST_PATH, f"[host path]/{match[1]}")


def _groups(pattern: re.Pattern[str], text: str, accepts: Callable[[str], bool]) -> Iterator[_Find]:
    for match in pattern.finditer(text):
        if accepts(match[1]):
            yield _Find(*match.span(1), SECRET, "[secret]")


def _is_random(value: str) -> bool:
    """Letters and digits together: `os.environ` and `my_password` are no secrets, `hunter2x9` is."""
    return any(map(str.isdigit, value)) and any(map(str.isalpha, value))


def _tells_of_a_host(path: str) -> bool:
    parts = [part for part in path.split("/") if part]
    if not parts or parts[0] in _EVERYWHERE:
        return False
    return len(parts) >= (2 if parts[0] in _HOST_ROOTS else _PARTS_OF_A_PATH)
