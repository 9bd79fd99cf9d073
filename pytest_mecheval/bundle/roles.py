"""Which file of a bundle plays which part, by the names agents really use; and what is left out."""

import re
from collections.abc import Mapping
from fnmatch import fnmatch
from typing import Literal

from pytest_mecheval.bundle.contents import Role

Kind = Literal["prose", "notebook", "script", "result", "data"]
"""How a file is read; `data` is hashed only."""

EVALUATOR_FOLDERS = frozenset(
    {"evaluation", "evaluations", "exam", "question", "replication", "replications"}
)
"""Left beside the work by evaluators: reading it would leak verdicts. At the top of a bundle only,
because a research repository may well have its own `src/evaluation`."""
EVALUATOR_PATTERNS = (
    "final_evaluation_*",
    "radar_evaluation.png",
    "*_reproduced.json",
    "replicated_circuit.json",
)
TOOL_FOLDERS = frozenset(
    {
        *(".git", ".hg", ".svn", ".venv", "venv", "node_modules", "__pycache__", "__MACOSX"),
        *(".ipynb_checkpoints", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".mecheval"),
        *(".idea", ".vscode", "mecheval-out"),
    }
)
TOOL_FILES = frozenset({".DS_Store", "Thumbs.db"})
TOOL_SUFFIXES = (".pyc", ".pyo")

MANIFEST = "mecheval.yaml"

_PROSE_SUFFIXES = (".md", ".markdown", ".txt", ".rst", ".log")
_SCRIPT_SUFFIXES = (".py", ".sh")
_DATA_TEXTS = re.compile(
    r"(requirements|constraints).*\.txt|.*licen[cs]e.*|vocab.*\.txt|merges\.txt"
)
"""Prose suffix, but no prose."""

_PROSE: tuple[tuple[Role, re.Pattern[str]], ...] = (
    ("walkthrough", re.compile(r"code_?-?walk.*")),
    ("plan", re.compile(r"(research_?-?)?plan([_-].*)?")),
    (
        "report",
        re.compile(r"(documentation|(final_?)?report|findings|results|write-?_?up)([_-].*)?"),
    ),
    ("readme", re.compile(r"read_?me([_.-].*)?")),
)
_ORDER: Mapping[Role, int] = {
    "plan": 0,
    "report": 1,
    "walkthrough": 2,
    "readme": 3,
    "log": 4,
    "notes": 5,
    "notebook": 6,
    "script": 7,
    "result": 8,
}
_VERSION = re.compile(r"_v(\d{1,9})\b")


def ignored(parts: tuple[str, ...], is_folder: bool) -> bool:
    """Whether an entry is an evaluator's leftover or a tool's by-product.

    >>> ignored(("evaluation",), True), ignored(("src", "evaluation"), True)
    (True, False)
    """
    name = parts[-1]
    if any(fnmatch(name, pattern) for pattern in EVALUATOR_PATTERNS):
        return True
    if is_folder:
        return name in TOOL_FOLDERS or (len(parts) == 1 and name in EVALUATOR_FOLDERS)
    return name in TOOL_FILES or name.endswith(TOOL_SUFFIXES)


def kind_of(path: str) -> Kind:
    """How a file is read, by name alone.

    >>> [kind_of(path) for path in ("logs/plan.md", "results/a.json", "model/config.json")]
    ['prose', 'result', 'data']
    """
    folder, _, name = path.lower().rpartition("/")
    if name.endswith(".ipynb"):
        return "notebook"
    if name.endswith(_SCRIPT_SUFFIXES):
        return "script"
    if name.endswith(".json"):
        in_results = "results" in folder.split("/")
        return "result" if in_results or name.startswith("real_circuits") else "data"
    if _DATA_TEXTS.fullmatch(name):
        return "data"
    is_prose = name.endswith(_PROSE_SUFFIXES) or _PROSE[-1][1].fullmatch(name) is not None
    return "prose" if is_prose else "data"


def prose_role(path: str) -> Role:
    """The part a prose file plays, by name alone.

    >>> [prose_role(p) for p in ("logs/plan_v2.md", "x_restructured/documentation.md", "CodeWalkthrough.md")]
    ['plan', 'report', 'walkthrough']
    """
    name = path.lower().rpartition("/")[2]
    if name.endswith(".log"):
        return "log"
    stem = name.rpartition(".")[0] or name
    for role, pattern in _PROSE:
        if pattern.fullmatch(stem):
            return role
    return "notes"


def reading_order(role: Role, path: str) -> tuple[int, int, str]:
    """Sort key: plans first, versions in numeric order (v2 before v10), then by path.

    >>> sorted(["plan_v10.md", "plan_v2.md", "plan.md"], key=lambda p: reading_order("plan", p))
    ['plan.md', 'plan_v2.md', 'plan_v10.md']
    """
    version = _VERSION.search(path.rpartition("/")[2].lower())
    return _ORDER[role], int(version[1]) if version else 0, path
