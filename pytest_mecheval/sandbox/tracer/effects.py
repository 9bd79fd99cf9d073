"""How an edit changed an activation: how much, which heads and positions, and what was written."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

MAX_EXAMINED, MIN_EXAMINED = 2**15, 4
"""Elements compared one by one, and rows at least: of larger batches evenly spaced changed rows are."""
SMALLEST_SHARE = 1e-9
"""What rounding must not turn into no change."""
TOLERANCE = 1e-6
"""Relative agreement that makes an edit constant, scaled or added."""
MAX_RANGES = 24


def ranges(indexes: Sequence[int]) -> str:
    """Sorted indexes as text.

    >>> ranges([0, 1, 2, 5, 7, 8])
    '0-2,5,7-8'
    """
    parts: list[str] = []
    start = previous = None
    for index in [*indexes, None]:
        if previous is not None and index == previous + 1:
            previous = index
            continue
        if start is not None:
            parts.append(str(start) if start == previous else f"{start}-{previous}")
        start = previous = index
        if len(parts) >= MAX_RANGES:
            parts.append("...")
            break
    return ",".join(parts)


def describe(
    before: Tensor, after: Tensor, heads: int, site: str, moved: Tensor | None = None
) -> dict[str, Any]:
    """Size, extent and kind of one edit.

    Args:
        before: the activation as it was, shape (batch, ...).
        after: as the hook left it.
        heads: attention heads of the model, 0 when unknown.
        site: where; attention patterns have their heads in axis 1.
        moved: which slots (batch, ..., all axes but the last, which may be split into heads) differ
            by projection, over the whole batch.

    Returns:
        Fields of an `edit` row; `share` is 0 when nothing changed. Rows and positions count over the
        whole batch, sizes and columns over the rows examined (`examined`, when not all).
    """
    if before.shape != after.shape:
        return {
            "kind": "other",
            "share": 1.0,
            "delta_max": None,
            "delta_rel": None,
            "reshaped": [list(before.shape), list(after.shape)],
        }
    old, new = before.detach(), after.detach()
    if old.dim() == 0:
        old, new = old[None], new[None]
    rows = old.shape[0]
    if moved is None:
        moved = (old != new).any(-1) if old.dim() > 1 else old != new
    hit = (moved.flatten(1).any(1) if moved.dim() > 1 else moved).nonzero()[:, 0]
    limit = max(MIN_EXAMINED, MAX_EXAMINED // max(1, old.numel() // max(1, rows)))
    if rows > limit and old.dim() > 1 and len(hit):
        chosen = hit[:: -(-len(hit) // limit)]
        old, new = old[chosen], new[chosen]
    old, new = old.float(), new.float()
    changed = old != new
    delta = new - old
    lowest, highest = delta.aminmax()
    size = max(-float(lowest), float(highest))
    if math.isnan(size):
        changed &= ~(old.isnan() & new.isnan())
    count = int(torch.count_nonzero(changed))
    if count == 0:
        return {"share": 0.0}
    norm, length = (float(torch.linalg.vector_norm(one)) for one in (old, delta))
    share = count / changed.numel() * (len(hit) / rows if old.shape[0] < rows else 1.0)
    found: dict[str, Any] = {
        "kind": "other",
        "delta_max": _finite(size),
        "delta_rel": _finite(length / norm) if norm > 0 else None,
        "share": max(round(share, 6), SMALLEST_SHARE),
        "shape": list(before.shape),
        "rows": len(hit),
    }
    if old.shape[0] < rows:
        found["examined"] = old.shape[0]
    found.update(extent(changed, moved, heads, site))
    found.update(written(old, new, changed, delta))
    return found


def extent(changed: Tensor, moved: Tensor, heads: int, site: str) -> dict[str, str]:
    """Heads, positions and columns that changed, as ranges; an axis changed throughout says `all`.

    Args:
        changed: which elements, shape (rows examined, ...).
        moved: which slots, over the whole batch.
        heads: attention heads of the model, 0 when unknown.
        site: where.
    """
    found: dict[str, str] = {}
    rank = changed.dim()
    if rank == 4 and moved.dim() == 3:
        axis = head_axis(tuple(changed.shape), heads, site)
        table = moved.any(0)
        found["heads"] = _shown(table.any(2 - axis))
        found["positions"] = _shown(table.any(axis - 1))
    elif rank == 3:
        positions = moved.any(0)
        found["positions"] = _shown(positions.any(1) if positions.dim() > 1 else positions)
        columns = changed.flatten(0, 1).any(0).tolist()
        width = changed.shape[2]
        if heads > 1 and width % heads == 0 and width > heads:
            key = "heads" if _reads_heads(site) else "blocks"
            size = width // heads
            blocks = [any(columns[start : start + size]) for start in range(0, width, size)]
            found[key] = _listed(blocks)
        found["columns"] = _listed(columns)
    elif rank == 2:
        found["columns"] = _shown(changed.any(0))
    return found


def head_axis(shape: tuple[int, ...], heads: int, site: str) -> int:
    """Axis of the heads in a rank-4 activation: 1 for (b, h, q, k), 2 for (b, t, h, d)."""
    square = shape[2] == shape[3]
    named = any(word in site for word in ("pattern", "scores", "attn_weights", "attn_probs"))
    if heads and shape[1] == heads and (shape[2] != heads or square or named):
        return 1
    return 1 if named else 2


def _reads_heads(site: str) -> bool:
    """True for the input of an attention output projection, whose columns are the heads' outputs."""
    if not site.endswith(".input"):
        return False
    parts = site.removesuffix(".input").split(".")
    return parts[-1] in ("c_proj", "o_proj", "out_proj", "o", "wo", "W_O") or parts[-2:] == [
        "output",
        "dense",
    ]


def _shown(hit: Tensor) -> str:
    # One call into torch instead of three: a row of flags is short.
    return _listed(hit.tolist())


def _listed(flags: list[bool]) -> str:
    return "all" if all(flags) else ranges([index for index, flag in enumerate(flags) if flag])


def written(old: Tensor, new: Tensor, changed: Tensor, delta: Tensor) -> dict[str, Any]:
    """What the changed elements became: zero, constant, scaled, added or other.

    `constant` is the same for every row of the batch, `added` is the same difference for every row;
    a batch of one row shows neither, unless all written numbers are one number.
    """
    # Picking elements by a mask costs as much as all the rest, and most edits write zeros.
    if not bool((changed & (new != 0)).any()):
        return {"kind": "zero"}
    values = new[changed]
    if not bool(values.isfinite().all()):
        return {"kind": "other", "finite": False}
    scale = max(float(values.abs().max()), 1e-30)
    first = float(values[0])
    if values.numel() > 1 and float((values - first).abs().max()) <= TOLERANCE * scale:
        return {"kind": "constant", "value": first}
    if old.shape[0] > 1:
        anywhere = changed.any(0, keepdim=True)
        spread = ((new - new[:1]) * anywhere).abs().max()
        if float(spread) <= TOLERANCE * scale:
            return {"kind": "constant"}
    source = old[changed]
    power = float(source @ source)
    if power > 0 and values.numel() > 1:
        factor = float(values @ source) / power
        if float((values - factor * source).abs().max()) <= 4 * TOLERANCE * scale:
            return {"kind": "scaled", "factor": factor}
    if old.shape[0] > 1:
        # Subtracting the old value loses digits, hence the scale of what was subtracted.
        lost = max(scale, float(source.abs().max()))
        spread = (delta - delta[:1]).abs().max()
        if float(spread) <= 4 * TOLERANCE * lost:
            return {"kind": "added"}
    return {"kind": "other"}


def _finite(number: float) -> float | None:
    return float(f"{number:.6g}") if math.isfinite(number) else None


def whole(tensor: Tensor) -> Tensor:
    """A copy outside autograd."""
    return tensor.detach().clone(memory_format=torch.preserve_format)
