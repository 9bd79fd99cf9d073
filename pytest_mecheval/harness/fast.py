"""The fast runner: several interventions per batch, restarted at the first thing they touch.

Reuse in depth: an intervention on layer L starts from the cached residual stream of L (a head or an
MLP even skips the layer's own attention). Reuse in position: with causal attention, positions before
the first edited one are not computed again. The last layer is computed at the read position only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pytest_mecheval.harness.interventions import Edit, Receiver, Trace, Writes, sender_delta
from pytest_mecheval.harness.kernel import Kernel, split
from pytest_mecheval.harness.metrics import LOGIT_DIFF, Readout, from_logits

_MLP_STAGE = 2


@dataclass(frozen=True)
class Window:
    """The positions still being computed: all from `start` on, or one read position per prompt."""

    start: int = 0
    read: Tensor | None = None
    """(n,); None: every position from `start` on."""

    def of(self, value: Tensor) -> Tensor:
        """The part of (n|1, length|1, ...) inside the window; length 1 stays as it is."""
        if value.shape[1] == 1:
            return value
        if self.read is None:
            return value[:, self.start :]
        rows = torch.arange(self.read.shape[0], device=value.device)
        wide = value.expand(self.read.shape[0], *value.shape[1:])
        return wide[rows, self.read].unsqueeze(1)


class FastRunner:
    """Runs interventions on the kernel."""

    path = "fast"

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    def output_matrix(self, layer: int) -> Tensor:
        """W_O of a layer, shape (heads, d_head, d_model)."""
        weight = self.kernel.layers[layer].w_o
        return split(weight, 0, (self.kernel.n_heads, self.kernel.d_head))

    def output_bias(self, layer: int) -> Tensor:
        """b_O of a layer, shape (d_model,): written by the layer, but by no head."""
        return self.kernel.layers[layer].b_o

    def trace(self, tokens: Tensor, keys: bool = False) -> Trace:
        """All activations of an unedited run; `keys` also keeps keys and values."""
        kernel = self.kernel
        x = kernel.embedded(tokens)
        pre, mid, zs, mlps, ks, vs = [x], [], [], [], [], []
        for index, block in enumerate(kernel.layers):
            normed = block.norm1(x)
            q, k, v = (kernel.project(index, letter, normed) for letter in "qkv")
            z = kernel.mixed(q, k, v, None)
            x = x + kernel.written(index, z)
            zs.append(z)
            mid.append(x)
            if kernel.has_mlp:
                mlps.append(kernel.mlp(index, x))
                x = x + mlps[-1]
            pre.append(x)
            if keys:
                ks.append(k)
                vs.append(v)
        return Trace(pre, mid, zs, mlps, ks, vs, tokens)

    def patterns(self, trace: Trace, layer: int) -> Tensor:
        """Attention weights of an unedited run, shape (n, heads, length, length)."""
        normed = self.kernel.layers[layer].norm1(trace.resid_pre[layer])
        q, k = (self.kernel.project(layer, letter, normed) for letter in "qk")
        return self.kernel.pattern(q, k)

    def received(self, edit: Edit, senders: Writes, base: Trace) -> Writes:
        """Path patching, first pass: what each receiver reads when only the senders change."""
        letters: dict[int, list[tuple[Receiver, Tensor]]] = {}
        for receiver in edit.receivers:
            layer = receiver.layer
            delta = sender_delta(senders, base, layer, self.output_matrix)
            normed = self.kernel.layers[layer].norm1(base.resid_pre[layer] + delta)
            heads = self.kernel.project(layer, receiver.letter, normed)
            letters.setdefault(layer, []).append((receiver, heads[:, :, receiver.head]))
        return Writes(letters=letters, start=senders.start)

    def measure(
        self,
        base: Trace,
        batch: Sequence[Writes],
        readout: Readout,
        metrics: Sequence[str],
    ) -> Mapping[str, Tensor]:
        """Metrics of a batch of interventions that start in the same layer; each (batch, n)."""
        final = self._final(base, batch, readout.read)
        return self.read_out(final, readout, metrics)

    def base_logits(self, base: Trace, read: Tensor) -> Tensor:
        """Logits of the unedited run at the read position, (n, d_vocab)."""
        return self.kernel.logits(Window(read=read).of(base.resid_pre[-1]).squeeze(1))

    def read_out(
        self, final: Tensor, readout: Readout, metrics: Sequence[str]
    ) -> Mapping[str, Tensor]:
        """Metrics of residual streams at the read position, (batch, n, d_model) -> (batch, n)."""
        kernel = self.kernel
        if set(metrics) <= {LOGIT_DIFF}:
            direction = kernel.unembed[readout.answers] - kernel.unembed[readout.foils]
            bias = kernel.unembed_bias[readout.answers] - kernel.unembed_bias[readout.foils]
            return {LOGIT_DIFF: (kernel.final(final) * direction).sum(-1) + bias}
        return from_logits(kernel.logits(final), readout, metrics)

    def _final(self, base: Trace, batch: Sequence[Writes], read: Tensor) -> Tensor:
        """Residual stream leaving the last block at the read position, (batch, n, d_model)."""
        entries = [writes.entry for writes in batch]
        layer = entries[0][0]
        suffix = Window(start=min(writes.start for writes in batch))
        last = self.kernel.n_layers - 1
        parts = []
        begin = 0
        while begin < len(batch):
            stage, end = entries[begin][1], begin
            while end < len(batch) and entries[end] == (layer, stage):
                end += 1
            if end == begin:
                raise ValueError("a batch must be sorted and start in one layer")
            rows = batch[begin:end]
            window = Window(suffix.start, read if layer == last else None)
            if stage:
                parts.append(self._restarted(base, rows, layer, stage, window))
            else:
                x = suffix.of(base.resid_pre[layer]).expand(end - begin, -1, -1, -1)
                parts.append(self._block(base, rows, layer, x, suffix, window))
            begin = end
        x = parts[0] if len(parts) == 1 else torch.cat(parts)
        for deeper in range(layer + 1, last + 1):
            window = Window(suffix.start, read if deeper == last else None)
            x = self._block(base, batch, deeper, x, suffix, window)
        return x.squeeze(2)

    def _restarted(
        self, base: Trace, rows: Sequence[Writes], layer: int, stage: int, window: Window
    ) -> Tensor:
        """Leaving `layer`, for edits of its heads or its MLP only: no attention is run again."""
        mid = window.of(base.resid_mid[layer])
        if stage == _MLP_STAGE:
            own = window.of(base.mlp[layer])
            return torch.stack([mid + _put(own, w.mlp[layer], w, window) for w in rows])
        z = window.of(base.z[layer])
        changed = []
        for w in rows:
            heads, value = w.z[layer]
            delta = self._head_change(layer, heads, z, window.of(value))
            if w.rotation is not None:
                delta = delta @ w.rotation
            changed.append(mid + (delta if w.where is None else delta * window.of(w.where)))
        x = torch.stack(changed)
        return self._through_mlp(rows, layer, x, window)

    def _head_change(self, layer: int, heads: tuple[int, ...], z: Tensor, value: Tensor) -> Tensor:
        """Change of the residual stream when heads write `value` in place of `z`."""
        chosen = list(heads)
        if len(chosen) == 1:
            weight = self.kernel.head_output(layer, chosen[0])
            return (value[:, :, 0] - z[:, :, chosen[0]]) @ weight
        weight = self.output_matrix(layer)[chosen].flatten(0, 1)
        return (value - z[:, :, chosen]).flatten(-2) @ weight

    def _block(
        self,
        base: Trace,
        rows: Sequence[Writes],
        layer: int,
        x: Tensor,
        suffix: Window,
        window: Window,
    ) -> Tensor:
        """One whole block for a batch, (batch, n, positions, d_model); only `window` leaves it."""
        kernel, block = self.kernel, self.kernel.layers[layer]
        if any(layer in w.resid for w in rows):
            x = x.clone()
            for row, w in enumerate(rows):
                if layer in w.resid:
                    x[row] = _put(x[row], w.resid[layer], w, suffix)
        batch, n = x.shape[:2]
        normed = block.norm1(x)
        inner = Window(read=None if window.read is None else window.read - suffix.start)
        asked = normed if window.read is None else _at(normed, inner)
        q = kernel.project(layer, "q", asked.flatten(0, 1))
        k = kernel.project(layer, "k", normed.flatten(0, 1))
        v = kernel.project(layer, "v", normed.flatten(0, 1))
        sides = {"q": (q, window), "k": (k, suffix), "v": (v, suffix)}
        for row, w in enumerate(rows):
            for receiver, value in w.letters.get(layer, ()):
                side, part = sides[receiver.letter]
                split(side, 0, (batch, n))[row, :, :, receiver.head] = part.of(value)
        if suffix.start:
            k = _with_prefix(base.keys[layer], k, batch, suffix.start)
            v = _with_prefix(base.values[layer], v, batch, suffix.start)
        z = kernel.mixed(q, k, v, _mask(window, batch, k.shape[1], q.shape[1]))
        z = split(z, 0, (batch, n))
        extra: dict[int, Tensor] = {}
        for row, w in enumerate(rows):
            if layer not in w.z:
                continue
            heads, value = w.z[layer]
            value, chosen = window.of(value), list(heads)
            if w.rotation is not None:
                change = self._head_change(layer, heads, z[row], value) @ w.rotation
                extra[row] = change if w.where is None else change * window.of(w.where)
            else:
                z[row][:, :, chosen] = _put(z[row][:, :, chosen], value, w, window, heads=True)
        kept = x if window.read is None else _at(x, inner)
        x = kept + kernel.written(layer, z)
        for row, change in extra.items():
            x[row] += change
        return self._through_mlp(rows, layer, x, window)

    def _through_mlp(self, rows: Sequence[Writes], layer: int, x: Tensor, window: Window) -> Tensor:
        """From the middle of a block to its end."""
        if not self.kernel.has_mlp:
            return x
        out = self.kernel.mlp(layer, x)
        for row, w in enumerate(rows):
            if layer in w.mlp:
                out[row] = _put(out[row], w.mlp[layer], w, window)
        return x + out


def _put(own: Tensor, value: Tensor, w: Writes, window: Window, heads: bool = False) -> Tensor:
    """`own` with `value` written where the intervention says, turned if it says so."""
    if not heads:
        value = window.of(value)
        if w.rotation is not None:
            value = own + (value - own) @ w.rotation
    if w.where is None:
        return value.expand_as(own)
    where = window.of(w.where)
    return torch.where(where.unsqueeze(-1) if heads else where, value, own)


def _at(x: Tensor, window: Window) -> Tensor:
    """The read position of every prompt, (batch, n, positions, d) -> (batch, n, 1, d)."""
    if window.read is None:
        return x
    rows = torch.arange(x.shape[1], device=x.device)
    return x[:, rows, window.read].unsqueeze(2)


def _with_prefix(cached: Tensor, fresh: Tensor, batch: int, start: int) -> Tensor:
    """Keys or values of all positions: the base run's before `start`, then the fresh ones."""
    prefix = cached[:, :start].expand(batch, -1, -1, -1, -1).flatten(0, 1)
    return torch.cat([prefix, fresh], dim=1)


def _mask(window: Window, batch: int, keys: int, queries: int) -> Tensor | None:
    """Causal mask for the queries of a window; None where `Kernel.mixed` needs none."""
    if window.read is not None:
        steps = torch.arange(keys, device=window.read.device)
        allowed = steps[None, :] <= window.read[:, None]
        if bool(allowed.all()):
            return None
        return allowed[:, None, None, :].repeat(batch, 1, 1, 1)
    if queries == keys:
        return None
    return torch.ones(queries, keys, dtype=torch.bool).tril(window.start)
