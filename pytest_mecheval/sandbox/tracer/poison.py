"""Poisons what interventions write: a number that comes from the edited forward must then change.

Two poisons with different meaning: `nan` shows graph connectivity only (0 x NaN is NaN), `finite` real
influence. Both replace exactly the elements that a hook changed and nothing else; none of the noise
comes from the bundle's random generators.
"""

from typing import Any

import torch
from torch import Tensor

from .state import Recorder

FACTOR = 1000.0
"""Standard deviations of the site that the finite poison adds, times standard normal noise."""
SAFE_SHARE = 0.25
"""Of the number format's range: half precision must not overflow into what the other poison does."""


class Poison:
    """Replaces what hooks write at chosen sites.

    Args:
        kind: `finite` or `nan`.
        sites: module paths or hook names, whole or their last dotted parts; empty: everywhere.
        seed: of the noise.
    """

    def __init__(self, recorder: Recorder, kind: str, sites: list[str], seed: int) -> None:
        self._recorder = recorder
        self._kind = kind
        self._sites = sites
        self._generator = torch._C.Generator(device="cpu").manual_seed(seed)

    def wants(self, site: str) -> bool:
        """Whether edits at this site are poisoned."""
        whole = site.split("#")[0]
        bare = whole.removesuffix(".input").removesuffix(".output")
        return not self._sites or any(
            name == wanted or name.endswith(f".{wanted}")
            for name in (whole, bare)
            for wanted in self._sites
        )

    def poisoned(self, before: Tensor, written: Tensor, result: Any) -> Any:
        """What the hook shall have returned instead of `result`.

        Args:
            before: the activation before the hook.
            written: after it; a tensor inside `result`, or changed in place when `result` is None.
            result: what the hook returned.
        """
        value = self._value(before.detach(), written.detach())
        self._recorder.totals["poisoned"] += 1
        if result is None:
            with torch.no_grad():
                written.detach().copy_(value)
            return None
        return substituted(result, written, value)

    def _value(self, before: Tensor, written: Tensor) -> Tensor:
        if before.shape == written.shape:
            changed = (before != written) & ~(before.isnan() & written.isnan())
        else:
            changed = torch.ones_like(written, dtype=torch.bool)
        if self._kind == "nan":
            return written.masked_fill(changed, float("nan"))
        finite = before[before.isfinite()].double()
        spread = float(finite.std()) if finite.numel() > 1 else 0.0
        noise = torch.randn(
            written.shape, generator=self._generator, dtype=torch.float32, device="cpu"
        ).to(written.device)
        limit = SAFE_SHARE * torch.finfo(written.dtype).max
        shifted = written.double().nan_to_num() + FACTOR * (spread or 1.0) * noise.double()
        return torch.where(changed, shifted.clamp(-limit, limit).to(written.dtype), written)


def substituted(value: Any, old: Tensor, new: Tensor) -> Any:
    """A hook's value with one of its tensors replaced; containers are rebuilt, never changed."""
    if value is old:
        return new
    if isinstance(value, tuple):
        parts = [substituted(part, old, new) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, list):
        return [substituted(part, old, new) for part in value]
    if isinstance(value, dict):
        changed = {key: substituted(part, old, new) for key, part in value.items()}
        return changed if type(value) is dict else type(value)(**changed)
    return value
