"""From wire interventions to what the guest in the sandbox is told, and from its codes to words."""

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_mecheval.errors import SubjectError, UsageError
from pytest_mecheval.tasks.examples import Examples
from pytest_mecheval.vocabulary import Component, ModelShape
from pytest_mecheval.wire import Attention, Intervention

PATHS = (
    "path patching needs queries, keys and values of single heads, which a plain module does not show; "
    "state an ablation or a patch, or ship transformer-lens weights"
)
ATTRIBUTION = (
    "direct attribution needs the final norm and unembedding, which a plain module does not show; "
    "state an ablation, or ship transformer-lens weights"
)
NO_PATTERNS = (
    "attention weights cannot be seen in this module (no softmax or scaled_dot_product_attention of one "
    "result per layer); state sites.attention, a module that returns them"
)
STATES: Mapping[int, str] = {
    1: "no module was recognised as the heads' output projection; state sites.head",
    2: "no module was recognised as the MLP; state sites.mlp (or `mlp: none`)",
    3: "no list of blocks was recognised; state sites.resid",
    4: "too few like components to compare with, and a random direction is only defined where "
    "sites.head is what goes into one linear output projection",
    5: NO_PATTERNS,
    6: "calibration prompts differ in length from the measured ones: a mean per position is not defined",
}
"""The guest's codes (`sandbox.guest.edits`) other than 0."""
UNKNOWN_PLACES = (1, 2, 3)
CONTROLS: tuple[Mapping[str, Any], ...] = (
    {},
    {"base": "counterfactual"},
    {"everything": "all", "source": "unchanged"},
    {"everything": "all", "source": "counterfactual"},
    {"everything": "heads", "source": "noise"},
    {"everything": "mlps", "source": "noise"},
)
"""Run on every group, first: both unedited prompts, placebo, positive control, and whether writes arrive."""
CLEAN, OTHER, PLACEBO, POSITIVE, HEAD_NOISE, MLP_NOISE = range(len(CONTROLS))
_BLANK: Mapping[str, Any] = {
    "heads": [],
    "mlps": [],
    "resids": [],
    "named_heads": [],
    "everything": "",
    "source": "unchanged",
    "base": "clean",
    "positions": "all",
    "rotation": -1,
    "joint": "alone",
}


def controls() -> list[Mapping[str, Any]]:
    """The edits of CONTROLS with all fields."""
    return [{**_BLANK, **one} for one in CONTROLS]


def spelled_out(edit: Intervention, shape: ModelShape, examples: Examples) -> Mapping[str, Any]:
    """An intervention in numbers.

    Raises:
        SubjectError: a component or position that does not exist, or path patching.
    """
    if edit.receivers:
        raise SubjectError(PATHS)
    require_position(edit.positions, examples, everywhere=True)
    heads: list[tuple[int, int]] = []
    mlps, resids, named_heads = [], [], []
    for name in edit.components:
        component = existing(name, shape)
        match component.kind:
            case "head":
                heads.append((component.layer, component.head))
                named_heads.append((component.layer, component.head))
            case "attn":
                heads += [(component.layer, head) for head in range(shape.n_heads)]
            case "mlp":
                mlps.append(component.layer)
            case "resid" | "input":
                resids.append(component.layer)
    return {
        **_BLANK,
        "heads": heads,
        "mlps": mlps,
        "resids": resids,
        "named_heads": named_heads,
        "source": edit.source,
        "base": edit.base,
        "positions": edit.positions,
        "rotation": edit.rotation,
        "joint": edit.joint,
    }


def attention_row(probe: Attention, shape: ModelShape, examples: Examples) -> tuple[int, int, str]:
    """Layer, head and query position whose attention is wanted; the key is not told.

    Raises:
        SubjectError: no such head or position.
    """
    component = existing(probe.head, shape)
    if component.kind != "head":
        raise SubjectError(f"attention is read from one head, not from {probe.head}")
    for name in (probe.query, probe.key):
        require_position(name, examples, everywhere=False)
    return component.layer, component.head, probe.query


def existing(name: str, shape: ModelShape) -> Component:
    """The component of this name.

    Raises:
        SubjectError: the model has none.
    """
    try:
        component = Component.parse(name)
    except UsageError as error:
        raise SubjectError(str(error)) from None
    if not shape.has(component):
        raise SubjectError(f"the model has no component {component}")
    return component


def require_position(name: str, examples: Examples, *, everywhere: bool) -> None:
    """Refuse a position the task does not name.

    Raises:
        SubjectError: names those there are.
    """
    known = [*(["all"] if everywhere else []), *sorted(examples.positions)]
    if name not in known:
        raise SubjectError(f"the task has no position {name!r} (it has: {', '.join(known)})")


def partner_names(rows: Sequence[Sequence[int]]) -> list[str]:
    """Canonical names of the heads the guest found; unused rows are negative."""
    return [str(Component("head", int(n), int(h))) for n, h in rows if n >= 0]
