"""The units of a bundle's code, from its syntax alone: functions, cells, hooks nobody calls, typed-in numbers.

Stable: the same files give the same units on every machine, and nothing of the bundle is run. Numbers count
as typed in when they are written with a decimal point and at least three significant digits, in the code
itself; settings (counts, whole numbers, configuration modules) are no results.
"""

import ast
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from pytest_mecheval.bundle.contents import Notebook

MIN_DIGITS = 3
"""Significant digits from which two equal numbers are hardly a coincidence (METHODS R05)."""
MAX_LITERALS = 5_000
"""Typed-in numbers kept per bundle; a script with more holds a data table."""
MAX_SOURCE_CHARACTERS = 1_000_000
CONFIGURATION = frozenset({"config", "configs", "settings", "constants", "params", "hparams"})
"""Modules of these names state settings, not results."""
HOOK_PARAMETERS = frozenset({"hook", "module", "mod", "layer"})
"""A function with such a parameter, and another one, has the form of a hook."""

_DECIMAL = re.compile(r"(?<![\w.])[-+]?\d*\.\d+(?:[eE][-+]?\d+)?(?![\w.])")
_MAGIC = re.compile(r"^(\s*)[%!?].*$", re.MULTILINE)

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Source:
    """One text of code: a script, or one cell of a notebook."""

    place: str
    """`run.py`, or `analysis.ipynb:cell3` as the runtime ledger names cells."""
    text: str


@dataclass(frozen=True, slots=True)
class Span:
    """A named unit and the lines it takes."""

    place: str
    """`run.py:score`, `run.py:Model.forward`, `analysis.ipynb:cell3:score`."""
    first: int
    """From 1, decorators included."""
    last: int


@dataclass(frozen=True, slots=True)
class Literal:
    """A number typed into the code."""

    number: str
    place: str
    """`run.py:12`."""


@dataclass(frozen=True, slots=True)
class CodeUnits:
    """Everything of a bundle's code that can be pointed at."""

    functions: tuple[Span, ...]
    cells: tuple[Span, ...]
    """Code cells of notebooks; lines count within the cell."""
    hooks_never_called: tuple[str, ...]
    """Functions of a hook's form whose name occurs nowhere else in the bundle's code."""
    literals: tuple[Literal, ...]
    unreadable: tuple[str, ...]
    """Texts that are not Python, with the reason."""


def sources_of(notebook: Notebook) -> Iterator[Source]:
    """The code cells of a notebook, numbered over all cells from 1, magics blanked."""
    for number, cell in enumerate(notebook.cells, 1):
        if cell.kind == "code":
            text = _MAGIC.sub(r"\1pass", cell.source)
            yield Source(f"{notebook.path}:cell{number}", text)


def code_units(sources: Iterable[Source]) -> CodeUnits:
    r"""The units of all of a bundle's code.

    >>> units = code_units([Source("a.py", "def score(x):\n    return 0.914\n")])
    >>> units.functions[0], units.literals[0]
    (Span(place='a.py:score', first=1, last=2), Literal(number='0.914', place='a.py:2'))
    """
    functions: list[Span] = []
    cells: list[Span] = []
    literals: list[Literal] = []
    hooks: list[tuple[str, str]] = []
    used: set[str] = set()
    unreadable: list[str] = []
    for source in sources:
        if ":cell" in source.place:
            cells.append(Span(source.place, 1, source.text.count("\n") + 1))
        try:
            tree = _parsed(source.text)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            unreadable.append(f"{source.place}: {type(error).__name__}")
            continue
        for name, node in _functions(tree, ""):
            functions.append(
                Span(f"{source.place}:{name}", _first_line(node), node.end_lineno or 0)
            )
            if _is_hook(node):
                hooks.append((node.name, f"{source.place}:{node.lineno} {node.name}"))
        used |= _names_used(tree)
        if PurePosixPath(source.place).stem not in CONFIGURATION:
            literals += _literals(tree, source.place)
    return CodeUnits(
        tuple(functions),
        tuple(cells),
        tuple(place for name, place in hooks if name not in used),
        tuple(literals[:MAX_LITERALS]),
        tuple(unreadable),
    )


def _parsed(text: str) -> ast.Module:
    if len(text) > MAX_SOURCE_CHARACTERS:
        raise ValueError("too long to be read")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an invalid escape in the bundle's text is not our warning
        return ast.parse(text)


def _functions(node: ast.AST, inside: str) -> Iterator[tuple[str, Function]]:
    pending: list[tuple[ast.AST, str]] = [(node, inside)]
    while pending:
        current, prefix = pending.pop()
        for child in ast.iter_child_nodes(current):
            name = prefix
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{prefix}{child.name}."
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield name[:-1], child
            pending.append((child, name))


def _first_line(node: Function) -> int:
    return min([node.lineno, *(each.lineno for each in node.decorator_list)])


def _is_hook(node: Function) -> bool:
    names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
    return len(names) > 1 and any(name in HOOK_PARAMETERS for name in names)


def _names_used(tree: ast.Module) -> set[str]:
    """Names read, attributes, and strings (a hook may be looked up by its name)."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                found.add(name)
            case ast.Attribute(attr=name):
                found.add(name)
            case ast.Constant(value=str(name)):
                found.add(name)
            case _:
                pass
    return found


def _literals(tree: ast.Module, place: str) -> Iterator[Literal]:
    docstrings = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or id(node) in docstrings:
            continue
        match node.value:
            case float():
                texts = [repr(node.value)]
            case str():
                texts = _DECIMAL.findall(node.value)
            case _:
                texts = []
        for text in texts:
            if significant_digits(text) >= MIN_DIGITS:
                yield Literal(text, f"{place}:{node.lineno}")


def significant_digits(text: str) -> int:
    """Digits that carry information.

    >>> significant_digits("0.0910"), significant_digits("-1.5e-3")
    (3, 2)
    """
    digits = re.sub(r"\D", "", re.split("[eE]", text)[0])
    return len(digits.lstrip("0"))
