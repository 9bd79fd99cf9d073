"""A bounded memory of what was seen at each site, to recognise where a written value came from."""

from dataclasses import dataclass

import torch
from torch import Tensor

FIRST_KEPT, LATEST_KEPT = 16, 16
"""Forwards remembered per site: caches are made early, the latest may feed the next edit."""
ROWS_KEPT = 64
"""Rows of a batch remembered; more would only repeat the evidence."""
FULL_SLOTS = 65_536
"""Projections up to this size are kept whole."""
MAX_BYTES = 64 * 2**20
RELATIVE = 1e-5
"""Agreement of two projections of the same values; fp32 sums in another order differ by about 1e-6."""
MEAN_RELATIVE = 1e-4
"""A mean taken by the bundle adds one more rounding per row."""
MAX_COMPARED = 4096


@dataclass
class Seen:
    """What one forward showed at one site, before any edit there."""

    forward: int
    rows: Tensor
    """Projection, shape (rows kept, slots ...)."""
    batch: int
    over_batch: Tensor | None = None
    """Mean over the whole batch; computed when first needed if all rows were kept."""

    def mean(self) -> Tensor:
        """Mean over the batch, shape (slots ...)."""
        if self.over_batch is None:
            self.over_batch = self.rows.mean(0)
        return self.over_batch


@dataclass(frozen=True)
class Origin:
    """Where a written value came from."""

    kind: str
    """copy | permuted | mean | mean_all"""
    forward: int


class Activations:
    """Per site, the first and the latest projections."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._first: dict[str, list[Seen]] = {}
        self._latest: dict[str, list[Seen]] = {}
        self._max_bytes = max_bytes
        self.bytes = 0
        self.forgotten = 0

    def remember(self, site: str, forward: int, projected: Tensor) -> None:
        """Keep one projection, shape (batch, slots ...)."""
        if projected.dim() == 0:
            return
        seen = _seen(forward, projected)
        size = seen.rows.numel() * 4
        first = self._first.setdefault(site, [])
        if first and first[-1].forward == forward:
            return
        if len(first) < FIRST_KEPT:
            if self.bytes + size > self._max_bytes:
                self.forgotten += 1
                return
            first.append(seen)
            self.bytes += size
            return
        latest = self._latest.setdefault(site, [])
        if latest and latest[-1].forward == forward:
            return
        if len(latest) >= LATEST_KEPT:
            gone = latest.pop(0)
            self.bytes -= gone.rows.numel() * 4
            self.forgotten += 1
        if self.bytes + size > self._max_bytes:
            self.forgotten += 1
            return
        latest.append(seen)
        self.bytes += size

    def origin(self, site: str, forward: int, before: Tensor, after: Tensor) -> Origin | None:
        """Which remembered activation, or mean of one, was written here.

        Args:
            site: where.
            forward: the running forward; its own activation before the edit is `before`.
            before: projection before the edit, shape (batch, slots ...).
            after: projection after it, same shape.
        """
        known = [*self._first.get(site, ()), *reversed(self._latest.get(site, ()))]
        if before.dim() == 0:
            return None
        known = [seen for seen in known if seen.forward != forward]
        own = _seen(
            forward, before
        )  # of the whole batch: a mean over its first rows is another mean
        before, after = before[:ROWS_KEPT], after[:ROWS_KEPT]
        gap = (after - before).abs()
        probe = int(gap.argmax())
        row, slot = divmod(probe, max(1, gap[0].numel()))
        target = float(after.reshape(-1)[probe])
        scale = max(abs(target), float(gap.reshape(-1)[probe]))
        changed = gap > RELATIVE * scale
        for seen in known:
            if seen.rows.shape[1:] != after.shape[1:]:
                continue
            if self._copied(seen, after, changed, row, slot, target, scale):
                return Origin("copy", seen.forward)
        for seen in [own, *known] if gap.shape[0] > 1 or known else []:
            if seen.rows.shape[1:] != after.shape[1:]:
                continue
            found = self._averaged(seen, after, changed, slot, target, scale)
            if found:
                return Origin(found, seen.forward)
        for seen in [own, *known]:
            if seen.rows.shape[1:] == after.shape[1:] and self._permuted(
                seen, after, changed, slot, target, scale
            ):
                return Origin("permuted", seen.forward)
        return None

    def _copied(
        self,
        seen: Seen,
        after: Tensor,
        changed: Tensor,
        row: int,
        slot: int,
        target: float,
        scale: float,
    ) -> bool:
        if row >= seen.rows.shape[0] or (seen.batch != 1 and seen.rows.shape[0] < after.shape[0]):
            return False
        if abs(float(seen.rows[row].reshape(-1)[slot]) - target) > RELATIVE * scale:
            return False
        rows = seen.rows[: after.shape[0]]
        return _close(rows[changed], after[changed], RELATIVE * scale)

    def _averaged(
        self, seen: Seen, after: Tensor, changed: Tensor, slot: int, target: float, scale: float
    ) -> str:
        mean = seen.mean()
        if seen.batch > 1 and abs(float(mean.reshape(-1)[slot]) - target) <= MEAN_RELATIVE * scale:
            wide = mean.expand_as(after)
            if _close(wide[changed], after[changed], MEAN_RELATIVE * scale):
                return "mean"
        if mean.dim() < 2 or mean.shape[0] < 2:
            return ""
        # Over batch and positions: axis 1 of the activation is the position for (b, t, ...) layouts.
        over_all = mean.mean(0, keepdim=True).expand_as(mean)
        if abs(float(over_all.reshape(-1)[slot]) - target) > MEAN_RELATIVE * scale:
            return ""
        wide = over_all.expand_as(after)
        return "mean_all" if _close(wide[changed], after[changed], MEAN_RELATIVE * scale) else ""

    def _permuted(
        self,
        seen: Seen,
        after: Tensor,
        changed: Tensor,
        slot: int,
        target: float,
        scale: float,
    ) -> bool:
        """True when the most changed row, and half of the changed rows, are rows of `seen`."""
        flat = seen.rows.reshape(seen.rows.shape[0], -1)
        if flat.shape[0] < 2 and seen.batch < 2:
            return False
        missing = float((flat[:, slot] - target).abs().min()) > RELATIVE * scale
        if missing and flat.shape[0] == seen.batch:
            return False
        mask = changed.reshape(changed.shape[0], -1)
        slots = mask.any(0).nonzero()[:, 0][:MAX_COMPARED]
        mine = after.reshape(after.shape[0], -1)[:, slots]
        theirs = flat[:, slots]
        rows = mask.any(1).nonzero()[:, 0]
        matched = 0
        for index in rows.tolist():
            nearest = (theirs - mine[index]).abs().amax(1).min()
            matched += int(float(nearest) <= RELATIVE * scale)
        # Of a batch of which only some rows are remembered, only that share can be found again.
        expected = len(rows) * min(1.0, flat.shape[0] / max(1, seen.batch))
        return matched >= max(1.0, expected / 2)


def _seen(forward: int, projected: Tensor) -> Seen:
    """A projection, shape (batch, slots ...), as it is kept: whole when small, else some rows and the mean."""
    if projected.numel() <= FULL_SLOTS:
        return Seen(forward, projected, projected.shape[0])
    return Seen(forward, projected[:ROWS_KEPT].clone(), projected.shape[0], projected.mean(0))


def _close(a: Tensor, b: Tensor, tolerance: float) -> bool:
    if a.numel() == 0:
        return False
    if a.device != b.device:
        a = a.to(b.device)
    return bool(((a - b).abs() <= tolerance).all())


def same_values(a: Tensor, b: Tensor) -> bool:
    """Equal element by element, NaN equal to NaN."""
    if a.shape != b.shape:
        return False
    if torch.equal(a, b):
        return True
    if not bool(a.sum().isnan()):
        return False
    return bool(((a == b) | (a.isnan() & b.isnan())).all())
