"""Matched controls, drawn from the model's shape alone, before any effect is known (METHODS 2.4, CTL-1, CTL-2, CTL-6)."""

import hashlib
import itertools
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from pytest_mecheval.checks.check import Subject
from pytest_mecheval.vocabulary import Component
from pytest_mecheval.wire import Intervention

MAX_CONTROLS = 99
"""Enough for the rank test to reach p = .01 (METHODS 2.4)."""
RANK_TEST_CONTROLS = 99
"""With at least this many controls the rank test decides, with fewer dominance does (DESIGN 12)."""
SMALLEST_LAYER_POOL = 19
"""Fewer candidates than this in a layer and neighbouring layers are taken too (CTL-1)."""
FEWEST_CONTROLS = 3
"""Below this no pool of components exists and random directions take its place (DESIGN 12)."""
ROTATIONS = 20
"""Random directions per claim when components are too few (CTL-6)."""


def control_edits(
    subject: Subject, edit: Intervention, *, special: bool = False
) -> dict[str, Intervention]:
    """The same intervention on matched components, or turned into random directions.

    Returns:
        Edits by display name; components `a0.h3` or sets `a0.h3+a1.h2`, else `random direction k`.
    """
    targets = tuple(Component.parse(name) for name in edit.components)
    found = matched_sets(subject, targets, special=special, before=_first_receiver(edit))
    if len(found) >= FEWEST_CONTROLS:
        return {"+".join(names): replace(edit, components=names) for names in found}
    return {f"random direction {k}": replace(edit, rotation=k) for k in range(ROTATIONS)}


def matched_sets(
    subject: Subject,
    targets: tuple[Component, ...],
    *,
    special: bool,
    before: int | None = None,
) -> list[tuple[str, ...]]:
    """Sets like the targets that nothing in the bundle claims.

    A claim to be special must also face the other claimed components when too few are left without
    them: otherwise a bundle could empty the pool by claiming everything.
    """
    found = component_sets(subject, targets, before=before)
    if special and len(found) < FEWEST_CONTROLS:
        return component_sets(replace(subject, claimed=frozenset()), targets, before=before)
    return found


def component_sets(
    subject: Subject,
    targets: tuple[Component, ...],
    *,
    before: int | None = None,
    sharing: bool = False,
) -> list[tuple[str, ...]]:
    """Up to 99 distinct sets with the targets' mix of types and layers, none of them claimed.

    Args:
        subject: Whose shape and claimed components bound the draw.
        targets: The claimed set.
        before: Only layers below this one (senders of a path must precede its receivers).
        sharing: Sets may share members with the target, but never be it.
    """
    groups: dict[tuple[str, int], int] = {}
    for target in targets:
        groups[target.kind, target.layer] = groups.get((target.kind, target.layer), 0) + 1
    pools = [
        (_candidates(subject, kind, layer, () if sharing else targets, before, count), count)
        for (kind, layer), count in sorted(groups.items())
    ]
    if math.prod(math.comb(len(pool), count) for pool, count in pools) <= 4 * MAX_CONTROLS:
        itself = tuple(sorted(str(t) for t in targets))
        every = sorted(
            {names for names in _all_sets(pools) if len(names) == len(targets) and names != itself}
        )
        return every if len(every) <= MAX_CONTROLS else _thinned(every, targets)
    return _sampled(pools, targets)


def _candidates(
    subject: Subject,
    kind: str,
    layer: int,
    avoided: tuple[Component, ...],
    before: int | None,
    wanted: int,
) -> list[Component]:
    if kind == "head":
        universe = subject.shape.heads()
    elif kind == "mlp":
        universe = subject.shape.mlps()
    else:
        return []
    free = [c for c in universe if c not in subject.claimed and c not in avoided]
    if before is not None:
        free = [c for c in free if c.layer < before]
    for width in (0, 1):
        near = [c for c in free if abs(c.layer - layer) <= width]
        if len(near) >= SMALLEST_LAYER_POOL * wanted:
            return near
    return free


def _all_sets(pools: list[tuple[list[Component], int]]) -> Iterator[tuple[str, ...]]:
    for parts in itertools.product(*(itertools.combinations(pool, count) for pool, count in pools)):
        yield tuple(sorted({str(component) for part in parts for component in part}))


def _sampled(
    pools: list[tuple[list[Component], int]], targets: tuple[Component, ...]
) -> list[tuple[str, ...]]:
    rng = _rng(targets)
    found: set[tuple[str, ...]] = set()
    for _ in range(20 * MAX_CONTROLS):
        names: set[str] = set()
        for pool, count in pools:
            names.update(str(pool[i]) for i in rng.choice(len(pool), count, replace=False))
        if len(names) == len(targets):
            found.add(tuple(sorted(names)))
        if len(found) == MAX_CONTROLS:
            break
    return sorted(found)


def _thinned(every: list[tuple[str, ...]], targets: tuple[Component, ...]) -> list[tuple[str, ...]]:
    chosen = _rng(targets).choice(len(every), MAX_CONTROLS, replace=False)
    return [every[i] for i in sorted(chosen)]


def _rng(targets: tuple[Component, ...]) -> np.random.Generator:
    # Seeded by the claimed names alone, so the controls are fixed before anything is measured.
    text = "+".join(str(target) for target in targets)
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))


def _first_receiver(edit: Intervention) -> int | None:
    layers = [Component.parse(name.rpartition(".")[0]).layer for name in edit.receivers]
    return min(layers) if layers else None
