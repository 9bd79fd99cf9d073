"""Models and their parameters: content at first sight and at the end, edits between forwards.

Values are compared, not versions: `.data` and numpy writes leave version counters as they are.
"""

import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .effects import ranges
from .fingerprints import SAMPLE, buffer, combined, content_hash, sample, stride_of
from .state import Recorder

if TYPE_CHECKING:
    from .hooks import Hooks

MAX_COMPARED_BYTES = 2**16
PARTS_REFRESH = 64
"""Forwards after which the list of a model's sub-modules is made anew."""
KEPT_WHOLE = 2**16
"""Parameters up to this many elements are compared whole before every forward, larger ones sampled."""
MAX_CHANGE_ROWS = 400
MAX_NAMES = 48
MAX_TENSORS_LISTED = 400
WRAPPER = "_original_component."
"""What a transformer_lens bridge puts into the raw names of parameters."""
HEAD_NAMES = ("n_heads", "num_attention_heads", "n_head", "num_heads", "nhead", "heads")


@dataclass
class Watched:
    """One parameter: a view of sampled values, and what they were."""

    name: str
    reference: weakref.ref[Any]
    address: int
    view: Tensor
    kept: Tensor
    first: Tensor
    step: int
    shape: tuple[int, ...]
    memory: Any = None
    """The parameter's bytes in place, when it is small: compared without going through torch."""
    known: bytes = b""


@dataclass
class Model:
    """One model that was called or loaded."""

    id: int
    reference: weakref.ref[Any]
    heads: int
    parameters: list[Watched] = field(default_factory=list)
    content: str = ""
    classes: dict[Any, Any] = field(default_factory=dict)
    replaced: set[str] = field(default_factory=set)
    last_forward: int = -1
    parts: list[Any] = field(default_factory=list)
    checks: int = 0


class Models:
    """Every model seen, and what happened to its parameters."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._models: dict[int, Model] = {}
        self._by_module: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._changes = 0
        self.optimizer_steps = 0
        self.rewritten = 0
        """Times that more than half of a model's parameters changed: training, or another load."""
        self._steps_seen = 0
        self.causes: list[str] = []
        """Calls since the last forward that may explain a change: `load_state_dict file:line`."""

    def of(self, module: Any) -> Model | None:
        """The model a module belongs to, itself when it is new; None when it has no parameters."""
        known = self._recorder.names.get(module)
        if known is not None:
            return self._models[known[0]]
        if next(module.parameters(), None) is None:
            return None
        return self._register(module)

    def _register(self, module: Any) -> Model:
        model = Model(len(self._models), weakref.ref(module), heads_of(module))
        self._models[model.id] = model
        # The sampled views share storage with the parameters: let go when the model does.
        weakref.finalize(module, _let_go, model.parameters, model.parts)
        for name, part in module.named_modules():
            self._recorder.names[part] = (model.id, name.replace(WRAPPER, ""))
            if type(part) not in model.classes:
                model.classes[type(part)] = type(part).forward
        model.parameters += [
            self._watch(name, parameter) for name, parameter in named_parameters(module)
        ]
        hashes = [(w.name, content_hash(w.reference())) for w in model.parameters]  # type: ignore[arg-type]
        model.content = combined(hashes)
        self._recorder.ledger.add(
            "model",
            id=model.id,
            of=type(module).__name__[:80],
            heads=model.heads,
            parameters=sum(_count(w.shape) for w in model.parameters),
            content=model.content,
            tensors=[
                [w.name[:120], "x".join(map(str, w.shape)), digest]
                for w, (_, digest) in zip(model.parameters, hashes, strict=True)
            ][:MAX_TENSORS_LISTED],
            calls=self._recorder.places.stack(),
        )
        return model

    def _watch(self, name: str, parameter: Tensor) -> Watched:
        size = KEPT_WHOLE if parameter.numel() <= KEPT_WHOLE else SAMPLE
        view = _bits(sample(parameter, size))
        kept = view.clone()
        watched = Watched(
            name,
            weakref.ref(parameter),
            parameter.data_ptr(),
            view,
            kept,
            kept,
            stride_of(parameter.numel(), size),
            tuple(parameter.shape),
        )
        small = parameter.numel() * parameter.element_size() <= MAX_COMPARED_BYTES
        if small and parameter.is_contiguous() and parameter.device.type == "cpu":
            watched.memory = buffer(parameter)
            watched.known = bytes(watched.memory)
        return watched

    def check(self, model: Model, forward: int, hooks: "Hooks") -> None:
        """Before a forward: which parameters differ from the forward before, which parts were replaced."""
        changed = [watched for watched in model.parameters if self._differs(watched)]
        if changed:
            self._report(model, changed, forward)
        module = model.reference()
        if module is not None:
            self._check_parts(model, module, hooks)
        self.causes.clear()
        model.last_forward = forward

    def refresh(self, module: Any) -> None:
        """Take a known model's parameters as they are now: what changed them was not the bundle."""
        known = self._recorder.names.get(module)
        if known is None:
            return
        model = self._models[known[0]]
        for watched in model.parameters:
            parameter = watched.reference()
            if parameter is not None:
                watched.__dict__.update(self._watch(watched.name, parameter).__dict__)
        hashes = [(w.name, content_hash(w.reference())) for w in model.parameters]  # type: ignore[arg-type]
        model.content = combined(hashes)

    def _differs(self, watched: Watched) -> bool:
        parameter = watched.reference()
        if parameter is None:
            return False
        if parameter.data_ptr() != watched.address:
            return True
        if watched.memory is not None:
            return bool(watched.memory.raw != watched.known)
        if parameter.is_contiguous():
            return not torch.equal(watched.view, watched.kept)
        size = KEPT_WHOLE if parameter.numel() <= KEPT_WHOLE else SAMPLE
        return not torch.equal(_bits(sample(parameter, size)), watched.kept)

    def _report(self, model: Model, changed: list[Watched], forward: int) -> None:
        details: list[dict[str, Any]] = []
        really = []
        for watched in changed:
            parameter: Tensor = watched.reference()  # type: ignore[assignment]
            fresh = self._watch(watched.name, parameter)
            moved = fresh.shape != watched.shape or not torch.equal(fresh.kept, watched.kept)
            if moved:
                really.append(watched.name)
                if len(details) < MAX_NAMES:
                    details.append(_difference(watched, fresh))
            fresh.first = watched.first
            watched.__dict__.update(fresh.__dict__)
        if not really:
            return  # moved in memory, same values
        self._changes += 1
        self.rewritten += 2 * len(really) > len(model.parameters)
        stepped = self.optimizer_steps > self._steps_seen
        self._steps_seen = self.optimizer_steps
        if self._changes > MAX_CHANGE_ROWS:
            self._recorder.ledger.dropped["weights"] += 1
            return
        self._recorder.ledger.add(
            "weights",
            model=model.id,
            before=forward,
            after=model.last_forward,
            changed=len(really),
            of=len(model.parameters),
            optimizer=stepped,
            causes=self.causes[-8:],
            tensors=details,
        )

    def _check_parts(self, model: Model, module: Any, hooks: "Hooks") -> None:
        if model.checks % PARTS_REFRESH == 0:
            model.parts[:] = module.modules()
            model.parts.remove(module)
        model.checks += 1
        self._check_part(model, module, hooks)
        for part in model.parts:
            self._check_part(model, part, hooks)
        for owner, forward in model.classes.items():
            if owner.forward is not forward:
                model.classes[owner] = owner.forward
                self._replaced(model, owner, owner.forward, "class")

    def _check_part(self, model: Model, part: Any, hooks: "Hooks") -> None:
        content = part.__dict__
        if "forward" in content:
            self._replaced(model, part, content["forward"], "instance")
        # Hooks written into the dictionaries directly, past register_forward_hook.
        registered = content["_forward_hooks"]
        if registered:
            hooks.adopt(part, registered, "output")
        registered = content["_forward_pre_hooks"]
        if registered:
            hooks.adopt(part, registered, "input")

    def _replaced(self, model: Model, part: Any, function: Any, what: str) -> None:
        place = part.__name__ if what == "class" else self._recorder.site(part)
        where = self._recorder.places.function(getattr(function, "__func__", function))
        key = f"{what} {place} {where} {type(function).__module__}"
        if key in model.replaced:
            return
        model.replaced.add(key)
        self._recorder.ledger.add(
            "replaced",
            model=model.id,
            what=what,
            site=place,
            function=where,
            by=str(getattr(function, "__module__", "") or type(function).__module__)[:80],
            calls=self._recorder.places.stack(),
        )

    def finish(self) -> None:
        """At the end: the content of every model that still lives, compared with its first."""
        for model in self._models.values():
            if model.reference() is None:
                continue
            changed = [watched for watched in model.parameters if self._differs(watched)]
            if changed:
                self._report(model, changed, -1)
            now = combined(
                (w.name, content_hash(parameter))
                for w in model.parameters
                if (parameter := w.reference()) is not None
            )
            self._recorder.ledger.add(
                "content", model=model.id, content=now, unchanged=now == model.content
            )


def named_parameters(module: Any) -> list[tuple[str, Tensor]]:
    """Parameters under their public names: a bridge's `state_dict` names where it has them."""
    public: dict[int, str] = {}
    if any(WRAPPER in name for name, _ in module.named_parameters()):
        for name, tensor in module.state_dict().items():
            if isinstance(tensor, Tensor) and tensor.numel():
                public.setdefault(tensor.data_ptr(), name)
    return [
        (public.get(parameter.data_ptr(), name.replace(WRAPPER, "")), parameter)
        for name, parameter in module.named_parameters()
        if parameter.layout == torch.strided and not parameter.is_meta
    ]


def heads_of(module: Any) -> int:
    """Attention heads per layer as the model's configuration or a sub-module states them; else 0."""
    for source in (getattr(module, "cfg", None), getattr(module, "config", None)):
        if source is not None:
            found = heads_in(source)
            if found:
                return found
    counts = {heads_in(part) for part in module.modules()} - {0}
    return counts.pop() if len(counts) == 1 else 0


def heads_in(source: Any) -> int:
    """The head count of a configuration object or dict, or 0."""
    for name in HEAD_NAMES:
        found = source.get(name) if isinstance(source, dict) else getattr(source, name, None)
        if isinstance(found, int) and not isinstance(found, bool) and found > 0:
            return found
    return 0


def _bits(tensor: Tensor) -> Tensor:
    """Floats as integers of the same width, so that NaN equals NaN; a view."""
    kinds = {2: torch.int16, 4: torch.int32, 8: torch.int64}
    if tensor.is_floating_point() and tensor.element_size() in kinds:
        return tensor.view(kinds[tensor.element_size()])
    return tensor


def _difference(old: Watched, new: Watched) -> dict[str, Any]:
    """What the sampled values say: share changed, zeros, restored, which rows and columns."""
    found: dict[str, Any] = {"name": old.name[:120], "shape": list(new.shape)}
    if old.kept.shape != new.kept.shape:
        return found | {"share": 1.0}
    changed = old.kept != new.kept
    found["share"] = round(float(changed.float().mean()), 6)
    parameter = new.reference()
    values = sample(parameter, new.kept.numel())  # type: ignore[arg-type]
    found["zero"] = not bool(values[changed].any())
    found["restored"] = torch.equal(new.kept, old.first)
    index = changed.nonzero()[:, 0] * new.step
    rest = index.cpu()
    axes = []
    for size in reversed(new.shape):
        axes.append(sorted(set((rest % size).tolist())))
        rest = rest // size
    found["axes"] = [
        "all" if len(hit) >= min(size, new.kept.numel()) else ranges(hit)
        for hit, size in zip(reversed(axes), new.shape, strict=True)
    ]
    found["sampled"] = new.step > 1
    return found


def _let_go(*lists: list[Any]) -> None:
    for one in lists:
        one.clear()


def _count(shape: tuple[int, ...]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total
