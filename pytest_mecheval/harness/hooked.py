"""The library runner: interventions as hooks on the library's own model; slow, exact, the reference.

With `stubs` the blocks before the first edit return the cached residual stream instead of running;
without, it is plain `run_with_hooks`, which the fast path is compared with.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from pytest_mecheval.harness.adapter import Activations, HookFunction, LibraryModel
from pytest_mecheval.harness.interventions import Edit, Receiver, Trace, Writes, sender_delta
from pytest_mecheval.harness.metrics import Readout, at_read, from_logits


class HookRunner:
    """Runs interventions one by one through the library."""

    def __init__(self, library: LibraryModel, stubs: bool) -> None:
        self.library = library
        self.stubs = stubs
        self.path = "stub" if stubs else "hooks"

    def output_matrix(self, layer: int) -> Tensor:
        """W_O of a layer, shape (heads, d_head, d_model)."""
        return self.library.output_matrix(layer)

    def output_bias(self, layer: int) -> Tensor:
        """b_O of a layer, shape (d_model,): written by the layer, but by no head."""
        return self.library.output_bias(layer)

    def trace(self, tokens: Tensor, keys: bool = False) -> Trace:  # noqa: ARG002 - the fast path's signature
        """All activations of an unedited run."""
        shape, at = self.library.shape, Activations
        layers = range(shape.n_layers)
        names = [at.resid_pre(layer) for layer in layers] + [at.resid_post(layers[-1])]
        names += [name(layer) for layer in layers for name in (at.z, at.attn_out)]
        names += [at.mlp_out(layer) for layer in layers] if shape.d_mlp else []
        found, _ = self.library.read(tokens, names)
        pre = [found[at.resid_pre(layer)] for layer in layers]
        return Trace(
            [*pre, found[at.resid_post(layers[-1])]],
            [x + found[at.attn_out(layer)] for layer, x in zip(layers, pre, strict=True)],
            [found[at.z(layer)] for layer in layers],
            [found[at.mlp_out(layer)] for layer in layers] if shape.d_mlp else [],
            tokens=tokens,
        )

    def patterns(self, trace: Trace, layer: int) -> Tensor:
        """Attention weights of an unedited run, shape (n, heads, length, length)."""
        name = Activations.pattern(layer)
        found, _ = self.library.read(_prompts(trace), [name])
        return found[name]

    def received(self, edit: Edit, senders: Writes, base: Trace) -> Writes:
        """Path patching, first pass: what each receiver reads when only the senders change."""
        tokens = _prompts(base)
        letters: dict[int, list[tuple[Receiver, Tensor]]] = {}
        for receiver in edit.receivers:
            layer = receiver.layer
            changed = base.resid_pre[layer] + sender_delta(senders, base, layer, self.output_matrix)
            name = Activations.letter(layer, receiver.letter)
            kept: list[Tensor] = []
            self.library.run(
                tokens,
                [
                    (Activations.resid_pre(layer), _constant(changed)),
                    (name, _keeper(kept)),
                ],
            )
            letters.setdefault(layer, []).append((receiver, kept[0][:, :, receiver.head]))
        return Writes(letters=letters)

    def measure(
        self,
        base: Trace,
        batch: Sequence[Writes],
        readout: Readout,
        metrics: Sequence[str],
    ) -> Mapping[str, Tensor]:
        """Metrics of a batch of interventions, one forward pass each; (batch, n)."""
        tokens = _prompts(base)
        logits = []
        for writes in batch:
            first = writes.entry[0] if self.stubs else 0
            entry = dict(enumerate(base.resid_pre))
            with self.library.stubbed(entry, first):
                edited = self.library.run(tokens, self.hooks(writes))
            logits.append(at_read(edited, readout.read))
        return from_logits(torch.stack(logits), readout, metrics)

    def base_logits(self, base: Trace, read: Tensor) -> Tensor:
        """Logits of the unedited run at the read position, (n, d_vocab)."""
        return at_read(self.library.run(_prompts(base)), read)

    def hooks(self, writes: Writes) -> list[tuple[str, HookFunction]]:
        """The library hooks that write an intervention."""
        at = Activations
        hooks: list[tuple[str, HookFunction]] = []
        for layer, value in writes.resid.items():
            hooks.append((at.resid_pre(layer), _write(value, writes)))
        for layer, received in writes.letters.items():
            hooks += [(at.letter(layer, r.letter), _write_head(r.head, v)) for r, v in received]
        for layer, (heads, value) in writes.z.items():
            if writes.rotation is None:
                hooks.append((at.z(layer), _write_heads(list(heads), value, writes)))
            else:
                hooks += self._turned_heads(layer, list(heads), value, writes)
        for layer, value in writes.mlp.items():
            hooks.append((at.mlp_out(layer), _write(value, writes)))
        return hooks

    def _turned_heads(
        self, layer: int, heads: list[int], value: Tensor, writes: Writes
    ) -> list[tuple[str, HookFunction]]:
        """The change heads would make to the residual stream, turned, added to the attention output."""
        seen: list[Tensor] = []
        matrix = self.output_matrix(layer)[heads].flatten(0, 1)

        def add(out: Tensor) -> Tensor:
            change = (value - seen.pop()[:, :, heads]).flatten(-2) @ matrix
            if writes.rotation is not None:
                change = change @ writes.rotation
            return out + (change if writes.where is None else change * writes.where)

        return [(Activations.z(layer), _keeper(seen)), (Activations.attn_out(layer), add)]


def _prompts(trace: Trace) -> Tensor:
    if trace.tokens is None:
        raise ValueError("a source has no prompts to run")
    return trace.tokens


def _keeper(kept: list[Tensor]) -> HookFunction:
    def keep(value: Tensor) -> None:
        kept.append(value.detach().clone())

    return keep


def _constant(value: Tensor) -> HookFunction:
    def replace(_: Tensor) -> Tensor:
        return value

    return replace


def _write(value: Tensor, writes: Writes) -> HookFunction:
    def replace(own: Tensor) -> Tensor:
        new = value if writes.rotation is None else own + (value - own) @ writes.rotation
        new = new.expand_as(own)
        return new.clone() if writes.where is None else torch.where(writes.where, new, own)

    return replace


def _write_heads(heads: list[int], value: Tensor, writes: Writes) -> HookFunction:
    def replace(own: Tensor) -> Tensor:
        new = own.clone()
        if writes.where is None:
            new[:, :, heads] = value.expand_as(own[:, :, heads])
        else:
            where = writes.where.unsqueeze(-1)
            new[:, :, heads] = torch.where(where, value, own[:, :, heads])
        return new

    return replace


def _write_head(head: int, value: Tensor) -> HookFunction:
    def replace(own: Tensor) -> Tensor:
        new = own.clone()
        new[:, :, head] = value
        return new

    return replace
