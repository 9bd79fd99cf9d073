"""Writes a mutant: one function of a scratch copy does nothing of what it says, all else as it was.

Extreme mutation, as in Niedermayr et al. 2019, Empirical Software Engineering 24, "Will my tests tell me if I
break this code?": tests that stay green when a whole function is emptied do not test it.
"""

import ast
from pathlib import Path

from pytest_mecheval.bundle.reading import read_file
from pytest_mecheval.errors import BundleError, SubjectError
from pytest_mecheval.wire import Mutant

MAX_SOURCE_BYTES = 2_000_000

Function = ast.FunctionDef | ast.AsyncFunctionDef


def write_mutant(copy: Path, mutant: Mutant) -> None:
    """Empty a function in a source file of the copy.

    Args:
        copy: the scratch copy of the bundle, written by us alone so far.
        mutant: which function, and what it does instead.

    Raises:
        SubjectError: no such file there, not Python, or no such function at its top level.
    """
    file, _, name = mutant.function.rpartition(":")
    try:
        text = read_file(copy, file, MAX_SOURCE_BYTES).decode("utf-8")
        changed = emptied(text, name, mutant.gives)
    except (BundleError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise SubjectError(f"{file}: cannot be read for a mutant: {error}") from error
    if changed is None:
        raise SubjectError(f"{file}: no function {name} at its top level")
    (copy / file).write_text(changed, encoding="utf-8")


def emptied(text: str, name: str, gives: str) -> str | None:
    r"""The source with the body of a function replaced; None when it has no such function.

    Args:
        text: Python source.
        name: of a function at the top level; the last of that name counts, as in Python.
        gives: `input`, `constant` or `error`.

    Raises:
        SyntaxError: the text is no Python source.

    >>> print(emptied("def ablate(z, head):\n    return z * head\n", "ablate", "input"))
    def ablate(z, head):
        return z
    """
    tree = ast.parse(text)
    found = [node for node in tree.body if isinstance(node, Function) and node.name == name]
    if not found:
        return None
    found[-1].body = [_statement(found[-1], gives)]
    return ast.unparse(ast.fix_missing_locations(tree))


def _statement(function: Function, gives: str) -> ast.stmt:
    if gives == "error":
        # A message that says nothing about who changed the function: the script can read it.
        return ast.parse("raise RuntimeError('unavailable')").body[0]
    arguments = [*function.args.posonlyargs, *function.args.args]
    if gives == "input" and arguments:
        return ast.Return(ast.Name(arguments[0].arg, ast.Load()))
    return ast.Return(ast.Constant(None if gives == "input" else 0.0))
