"""What is checked at every model load: the hooks mean what we think, and the fast path computes the same.

The same hook name means different things in different transformer-lens versions (editing
`hook_resid_mid` reaches the skip path in HookedTransformer and not in TransformerBridge), and some
edits do nothing at all. So every hook we write through is written through once, on a tiny batch of
random tokens, and its effect compared with arithmetic. A hook that fails stops the run; a fast path
that differs is only not used.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pytest_mecheval.errors import HarnessError
from pytest_mecheval.harness.adapter import Activations, HookFunction, LibraryModel
from pytest_mecheval.harness.engine import Engine, Request, Runner
from pytest_mecheval.harness.fast import FastRunner
from pytest_mecheval.harness.hooked import HookRunner
from pytest_mecheval.harness.interventions import Trace
from pytest_mecheval.harness.kernel import Kernel
from pytest_mecheval.harness.loading import Subject
from pytest_mecheval.tasks.examples import Examples
from pytest_mecheval.wire import Intervention

RELATIVE_DEVIATION = 1e-4
"""Largest difference between two ways to compute one activation, as a share of its largest entry."""
ALL_LAYERS_UP_TO = 4
"""Deeper models are written through in one layer only; each group's cross-check sees the others."""
PROMPTS = 2
LONGEST = 7
SEED = 20240229
FRESH_SCALE = 2.0
"""Test activations are this much larger than the model's own, so that an edit cannot hide."""


def choose_runner(subject: Subject) -> tuple[Runner, str]:
    """The fastest runner that computes what the library's model computes, and why not a faster one.

    Raises:
        HarnessError: a hook does not do what its name says; names hook and version.
    """
    tokens = _tokens(subject.library)
    plain = HookRunner(subject.library, stubs=False)
    trace = plain.trace(tokens)
    check_hooks(subject.library, trace)
    reason = subject.fallback_reason
    if subject.kernel is not None:
        reason = _kernel_differs(subject, subject.kernel, plain, trace)
        if not reason:
            return FastRunner(subject.kernel), ""
    if _stubs_exact(subject.library, trace):
        return HookRunner(subject.library, stubs=True), reason
    return plain, f"{reason}; stubbed blocks are not exact"


def check_hooks(library: LibraryModel, trace: Trace) -> None:
    """Write through every hook the harness uses and compare with arithmetic.

    Raises:
        HarnessError: names the hook, the layer and the version.
    """
    at, shape = Activations, library.shape
    for layer in range(shape.n_layers):
        parts = trace.resid_mid[layer] + (trace.mlp[layer] if shape.d_mlp else 0)
        _expect(
            library,
            at.resid_post(layer),
            "is not the sum of what the block adds",
            parts,
            trace.resid_pre[layer + 1],
        )
    generator = torch.Generator().manual_seed(SEED)
    for layer in probed_layers(shape.n_layers):
        _check_heads(library, trace, layer, generator)
        _check_stream(library, trace, layer, generator)
        _check_values(library, trace, layer, generator)
        if shape.d_mlp:
            value = _fresh(trace.mlp[layer], generator)
            after = _edited(library, trace, [(at.mlp_out(layer), value)], [at.resid_post(layer)])
            expected = trace.resid_mid[layer] + value
            _expect(
                library, at.mlp_out(layer), "does not reach the residual stream", after[0], expected
            )


def probed_layers(n_layers: int) -> range:
    """Every layer of a small model; one of a deep one, whose blocks are all of one class."""
    if n_layers <= ALL_LAYERS_UP_TO:
        return range(n_layers)
    return range(n_layers // 2, n_layers // 2 + 1)


def _check_heads(
    library: LibraryModel, trace: Trace, layer: int, generator: torch.Generator
) -> None:
    """Editing z changes the attention output by the change times W_O, and that reaches the skip path."""
    at = Activations
    value = _fresh(trace.z[layer], generator)
    names = [at.attn_out(layer), at.resid_post(layer)]
    names += [at.mlp_out(layer)] if library.shape.d_mlp else []
    after = _edited(library, trace, [(at.z(layer), value)], names)
    before = trace.resid_mid[layer] - trace.resid_pre[layer]
    change = (value - trace.z[layer]).flatten(-2) @ library.output_matrix(layer).flatten(0, 1)
    _expect(
        library,
        at.z(layer),
        "does not change the attention output by its part of W_O",
        after[0],
        before + change,
    )
    total = trace.resid_pre[layer] + after[0] + (after[2] if library.shape.d_mlp else 0)
    _expect(library, at.z(layer), "does not reach the residual stream", after[1], total)
    out = _fresh(before, generator)
    after = _edited(library, trace, [(at.attn_out(layer), out)], names[1:])
    total = trace.resid_pre[layer] + out + (after[1] if library.shape.d_mlp else 0)
    _expect(library, at.attn_out(layer), "does not reach the residual stream", after[0], total)


def _check_stream(
    library: LibraryModel, trace: Trace, layer: int, generator: torch.Generator
) -> None:
    """Editing the stream entering a block reaches both the block and the skip path."""
    at = Activations
    value = _fresh(trace.resid_pre[layer], generator)
    names = [at.resid_post(layer), at.attn_out(layer)]
    names += [at.mlp_out(layer)] if library.shape.d_mlp else []
    after = _edited(library, trace, [(at.resid_pre(layer), value)], names)
    total = value + after[1] + (after[2] if library.shape.d_mlp else 0)
    _expect(library, at.resid_pre(layer), "does not reach the residual stream", after[0], total)


def _check_values(
    library: LibraryModel, trace: Trace, layer: int, generator: torch.Generator
) -> None:
    """Editing values changes z by the attention pattern; editing queries or keys is no no-op."""
    at = Activations
    names = [at.letter(layer, "v"), at.pattern(layer), at.letter(layer, "k")]
    found, _ = library.read(_ids(trace), names)
    own, pattern, keys = (found[name] for name in names)
    if own.shape[2] != pattern.shape[1]:
        return  # grouped key-value heads: path patching into them is refused at resolution
    value = _fresh(own, generator)
    after = _edited(library, trace, [(names[0], value)], [at.z(layer)])
    expected = torch.einsum("nhqk,nkhd->nqhd", pattern, value)
    _expect(library, names[0], "does not reach z through the attention pattern", after[0], expected)
    if float(keys.std(dim=1).max()) <= RELATIVE_DEVIATION:
        return  # keys do not differ between positions, so queries honestly do nothing
    for letter in "qk":
        name = at.letter(layer, letter)
        value = _fresh(keys, generator)
        changed = _edited(library, trace, [(name, value)], [at.pattern(layer)])[0]
        if torch.equal(changed, pattern):
            raise HarnessError(f"{library.label}: editing {name} does nothing")


def _kernel_differs(subject: Subject, kernel: Kernel, plain: HookRunner, trace: Trace) -> str:
    """Why the kernel cannot stand in for the library's model; empty when it can."""
    fast = FastRunner(kernel)
    own = fast.trace(_ids(trace), keys=True)
    names = [Activations.pattern(layer) for layer in range(kernel.n_layers)]
    patterns, _ = subject.library.read(_ids(trace), names)
    for layer in range(kernel.n_layers):
        pairs = {"pattern": (fast.patterns(own, layer), patterns[names[layer]])}
        for name in ("resid_pre", "z", "resid_mid", *(["mlp"] if kernel.has_mlp else [])):
            pairs[name] = (getattr(own, name)[layer], getattr(trace, name)[layer])
        for name, (ours, theirs) in pairs.items():
            if not _deviation(ours, theirs) <= RELATIVE_DEVIATION:
                return f"the kernel's {name} of layer {layer} differs from the library's"
    examples = _examples(_ids(trace), subject.shape.d_vocab)
    edits = battery(kernel.n_layers, kernel.has_mlp)
    values = []
    for runner in (fast, plain):
        engine = Engine(
            runner, subject.shape, kernel.d_head, examples, lambda: examples, subject.device
        )
        requests = [Request(engine.resolve(edit), ("logit_diff",)) for edit in edits]
        values.append([found["logit_diff"] for found in engine.measure(requests)])
    scale = max(1.0, float(kernel.logits(own.resid_pre[-1]).abs().max()))
    for edit, ours, theirs in zip(edits, *values, strict=True):
        if not float(np.abs(ours - theirs).max()) <= RELATIVE_DEVIATION * scale:
            return f"the kernel's effect of {edit} differs from the library's"
    return ""


def battery(n_layers: int, has_mlp: bool) -> tuple[Intervention, ...]:
    """One intervention of every kind that takes another way through the fast path."""
    first, last = 0, n_layers - 1
    edits = [
        Intervention((f"a{first}.h0", f"a{last}.h0"), "counterfactual"),
        Intervention((f"a{first}.h0",), "counterfactual", positions="middle"),
        Intervention((f"r{last}",), "counterfactual", positions="middle"),
        Intervention((f"a{first}",), "zero", rotation=0),
    ]
    if n_layers > 1:
        edits.append(Intervention((f"a{first}",), "counterfactual", receivers=(f"a{last}.h0",)))
    if has_mlp:
        edits.append(Intervention((f"m{first}",), "counterfactual", base="clean"))
    return tuple(edits)


def _stubs_exact(library: LibraryModel, trace: Trace) -> bool:
    """Whether skipping blocks and handing in the cached stream leaves the logits as they are."""
    ids = _ids(trace)
    library.learn_block_output(ids)
    full = library.run(ids)
    last = library.shape.n_layers - 1
    try:
        with library.stubbed(dict(enumerate(trace.resid_pre)), last):
            stubbed = library.run(ids)
    except (HarnessError, TypeError, ValueError, RuntimeError):
        return False
    return _deviation(stubbed, full) <= RELATIVE_DEVIATION


def _tokens(library: LibraryModel) -> Tensor:
    generator = torch.Generator().manual_seed(SEED)
    length = min(LONGEST, library.shape.n_ctx)
    ids = torch.randint(library.shape.d_vocab, (PROMPTS, length), generator=generator)
    return ids.to(library.device)


def _examples(tokens: Tensor, d_vocab: int) -> Examples:
    ids = tokens.cpu().numpy()
    n, length = ids.shape
    answers = ids[:, 0]
    return Examples(
        ids,
        (ids + 1) % d_vocab,
        answers,
        (answers + 1) % d_vocab,
        np.full(n, length - 1),
        {"middle": np.full(n, length // 2)},
    )


def _fresh(like: Tensor, generator: torch.Generator) -> Tensor:
    noise = torch.randn(like.shape, generator=generator).to(like.device)
    return noise * FRESH_SCALE * max(1.0, float(like.std()))


def _ids(trace: Trace) -> Tensor:
    if trace.tokens is None:
        raise ValueError("a source has no prompts")
    return trace.tokens


def _edited(
    library: LibraryModel,
    trace: Trace,
    edits: Sequence[tuple[str, Tensor]],
    names: Sequence[str],
) -> list[Tensor]:
    """The named activations of a run in which others were replaced."""
    found: dict[str, Tensor] = {}

    def replace(value: Tensor) -> HookFunction:
        return lambda _: value

    def keep(name: str) -> HookFunction:
        def kept(value: Tensor) -> None:
            found[name] = value.detach().clone()

        return kept

    hooks = [(name, replace(value)) for name, value in edits]
    library.run(_ids(trace), hooks + [(name, keep(name)) for name in names])
    return [found[name] for name in names]


def _deviation(ours: Tensor, theirs: Tensor) -> float:
    scale = max(1.0, float(theirs.abs().max()))
    return float((ours - theirs).abs().max()) / scale


def _expect(library: LibraryModel, hook: str, problem: str, got: Tensor, wanted: Tensor) -> None:
    if not _deviation(got, wanted) <= RELATIVE_DEVIATION:
        raise HarnessError(f"{library.label}: hook {hook}: an edit or reading {problem}")
