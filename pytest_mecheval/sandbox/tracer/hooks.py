"""Forward hooks: who registered them, who called them, and by comparing values what they changed.

Hooks are wrapped where they are registered: a global torch hook runs before the module's own hooks and
would see the value as it was. Version counters and identities are not asked: inference tensors have
none, read-only caching hooks of transformer_lens return new tensors, and `.data` writes leave no trace.
"""

import math
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

import torch
from torch import Tensor

from .activations import Activations, same_values
from .effects import describe, whole
from .fingerprints import projection, tensors_in
from .places import code_of, user_callback
from .poison import Poison
from .state import Forward, Recorder

MAX_COPIED_BYTES = 512 * 2**20
MAX_EDIT_ROWS_PER_HOOK = 5_000
MAX_HOOKS = 20_000
MAX_READS_LISTED = 512
COPY_KINDS = {"copy": "copy", "permuted": "permuted", "mean": "mean", "mean_all": "mean"}

PLUMBING = ("transformer_lens.model_bridge.", "accelerate.hooks")
"""Modules whose own hooks are part of the forward; hooks of users never come from here."""
TRUSTED_READS, VALUE_CHECK_EVERY = 8, 8
"""A callback that left its input alone this often, be it that it only read or that it returned another
tensor, has the input compared by value every eighth time; in between the version counter is asked, which
in-place writes except through `.data` or numpy advance."""
MARK = "_observed"
"""Attribute of our wrappers."""
READ, RETURNS, IN_PLACE = "read", "returns", "in place"


@dataclass
class Hook:
    """One registered callback at one site, counted over all its registrations."""

    id: int
    when: str
    module: weakref.ref[Any] | None
    registered: int = 0
    called: int = 0
    edited: int = 0
    handed_back: int = 0
    """Calls that returned a value which changed nothing: what an edit that does nothing looks like."""
    site: str = ""
    streak: int = 0
    """Calls in a row that left what they were given as it was."""


@dataclass
class _Before:
    tensors: list[Tensor]
    copies: list[Tensor | None]
    projections: list[Tensor] = field(default_factory=list)
    versions: list[int] | None = None


class Hooks:
    """Wraps torch's hook registration; one per process."""

    def __init__(
        self, recorder: Recorder, activations: Activations, poison: Poison | None = None
    ) -> None:
        self._recorder = recorder
        self._activations = activations
        self._poison = poison
        self._by_key: dict[Any, Hook] = {}
        self._habits: dict[CodeType, str] = {}
        self._serials: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._next_serial = 0

    def install(self) -> None:
        """Replace the registration functions of torch."""
        module = torch.nn.Module
        module.register_forward_hook = self._registration(  # type: ignore[method-assign]
            module.register_forward_hook, "output"
        )
        module.register_forward_pre_hook = self._registration(  # type: ignore[method-assign]
            module.register_forward_pre_hook, "input"
        )
        module.register_full_backward_hook = self._backward(  # type: ignore[method-assign]
            module.register_full_backward_hook
        )
        place = torch.nn.modules.module
        for name, when in (
            ("register_module_forward_hook", "output"),
            ("register_module_forward_pre_hook", "input"),
        ):
            setattr(place, name, self._global(getattr(place, name), when))

    def _registration(self, original: Callable[..., Any], when: str) -> Callable[..., Any]:
        def register(module: Any, hook: Any, *args: Any, **kwargs: Any) -> Any:
            return original(module, self.wrap(module, hook, when), *args, **kwargs)

        return _dressed(register, original)

    def _global(self, original: Callable[..., Any], when: str) -> Callable[..., Any]:
        def register(hook: Any, *args: Any, **kwargs: Any) -> Any:
            return original(self.wrap(None, hook, when), *args, **kwargs)

        return _dressed(register, original)

    def _backward(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def register(module: Any, hook: Any, *args: Any, **kwargs: Any) -> Any:
            self._recorder.totals["backward_hooks"] += 1
            return original(module, hook, *args, **kwargs)

        return _dressed(register, original)

    def wrap(self, module: Any, callback: Any, when: str) -> Any:
        """The callback with an observer around it; torch's own bookkeeping hooks stay as they are."""
        if not self._recorder.ledger.enabled or not callable(callback):
            return callback
        if type(callback).__module__.startswith("torch.nn.utils"):
            return callback  # pruning and weight norm look their hooks up by type
        if str(getattr(callback, "__module__", "")).startswith(PLUMBING):
            return callback
        user = user_callback(callback)
        code = code_of(user)
        try:
            hook = self._hook(module, callback, user, code, when)
        except Exception as error:  # noqa: BLE001 - the bundle's registration must go through
            self._recorder.fault("hook registration", error)
            return callback
        return self._observer(hook, callback, code)

    def adopt(self, module: Any, registered: Any, when: str) -> None:
        """Wrap the hooks in a module's dictionary that did not come through registration."""
        for key, callback in list(registered.items()):
            if not hasattr(callback, MARK):
                registered[key] = self.wrap(module, callback, when)

    def _serial(self, module: Any) -> int:
        if module is None:
            return -1
        try:
            found = self._serials.get(module)
            if found is None:
                found = self._serials[module] = self._next_serial
                self._next_serial += 1
        except TypeError:
            return id(module)
        return found

    def _hook(
        self, module: Any, callback: Any, user: Any, code: CodeType | None, when: str
    ) -> Hook:
        places = self._recorder.places
        # A library's callback (a cache) does the same wherever it is asked for; forwards say where.
        own = code is not None and places.shown(code.co_filename)
        place = places.here() if own else ""
        key: tuple[Any, ...] = (self._serial(module), code, place, when)
        hook = self._by_key.get(key)
        if hook is None:
            if len(self._by_key) >= MAX_HOOKS:
                key = ("more",)
                hook = self._by_key.get(key)
            if hook is None:
                reference = None if module is None else weakref.ref(module)
                hook = self._by_key[key] = Hook(len(self._by_key), when, reference)
                hook.site = self._site(hook, module)
                self._recorder.ledger.add(
                    "hook",
                    id=hook.id,
                    site=hook.site,
                    of=type(module).__name__ if module is not None else "every module",
                    when=when,
                    function=places.function(user),
                    by=_library(callback),
                    calls=places.stack(),
                )
        hook.registered += 1
        return hook

    def _site(self, hook: Hook, module: Any) -> str:
        name = self._recorder.site(module) if module is not None else ""
        if not name or hasattr(module, "add_hook"):
            return name  # a HookPoint is an identity: its input is its output
        return f"{name}.{hook.when}"

    def _observer(self, hook: Hook, callback: Any, code: CodeType | None) -> Callable[..., Any]:
        pre = hook.when == "input"

        def observed(*args: Any, **kwargs: Any) -> Any:
            recorder = self._recorder
            if not recorder.ledger.enabled:
                return callback(*args, **kwargs)
            hook.called += 1
            value = (args[1] or args[2:]) if pre else args[-1]
            try:
                module = args[0]
                forward = recorder.current()
                before = self._before(hook, module, value, code, forward)
            except Exception as error:  # noqa: BLE001 - observing must not break the run
                recorder.fault("before a hook", error)
                return callback(*args, **kwargs)
            result = callback(*args, **kwargs)
            try:
                return self._after(hook, module, before, result, code, forward)
            except Exception as error:  # noqa: BLE001 - observing must not break the run
                recorder.fault("after a hook", error)
            return result

        setattr(observed, MARK, True)
        name = getattr(callback, "__name__", None)
        if name.__class__ is str:
            observed.__name__ = name
        observed.__wrapped__ = callback  # type: ignore[attr-defined]
        return observed

    def _before(
        self,
        hook: Hook,
        module: Any,
        value: Any,
        code: CodeType | None,
        forward: Forward | None,
    ) -> _Before:
        tensors = tensors_in(value)
        before = _Before(tensors, [])
        by_version = (
            hook.streak >= TRUSTED_READS
            and hook.streak % VALUE_CHECK_EVERY != 0
            and not any(tensor.is_inference() for tensor in tensors)
        )
        if by_version:
            before.versions = [tensor._version for tensor in tensors]
        habit = self._habits.get(code) if code is not None else None
        for tensor in tensors:
            size = tensor.numel()
            # A function that only read so far is checked by projection; one slip and it is copied for.
            copied = (habit in (None, IN_PLACE) or self._poison is not None) and (
                size * tensor.element_size() <= MAX_COPIED_BYTES
            )
            before.copies.append(whole(tensor) if copied else None)
            view = _converted(module, tensor)
            before.projections.append(projection(view, forward.heads if forward else 0))
        return before

    def _after(
        self,
        hook: Hook,
        module: Any,
        before: _Before,
        result: Any,
        code: CodeType | None,
        forward: Forward | None,
    ) -> Any:
        if not hook.site and module is not None:
            hook.site = self._site(hook, module)
            self._recorder.ledger.add("site", hook=hook.id, site=hook.site)
        after = before.tensors if result is None else tensors_in(result)
        number = forward.id if forward else -1
        site = hook.site
        habit = READ
        for index, (old, copy, seen) in enumerate(
            zip(before.tensors, before.copies, before.projections, strict=True)
        ):
            key = site if index == 0 else f"{site}#{index}"
            new = after[index] if index < len(after) else old
            if before.versions is not None and old._version == before.versions[index]:
                intact = True
            else:
                intact = self._intact(module, old, copy, seen, forward)
            now = seen
            if new is not old or not intact:
                now = projection(_converted(module, new), forward.heads if forward else 0)
            if not intact or (new is not old and not _equal(seen, now, old, new)):
                returned = new is not old and intact
                habit = RETURNS if returned else IN_PLACE
                base = copy if copy is not None else (old if intact else None)
                self._edit(hook, module, key, base, new, seen, now, forward, returned)
                if self._poison is not None and base is not None and self._poison.wants(key):
                    result = self._poison.poisoned(base, new, result)
            self._activations.remember(key, number, seen)
        hook.streak = hook.streak + 1 if habit != IN_PLACE else 0
        hook.handed_back += habit == READ and result is not None
        if code is not None and self._habits.get(code) not in (habit, IN_PLACE):
            self._habits[code] = habit
        if habit == READ and forward is not None and len(forward.reads) < MAX_READS_LISTED:
            forward.reads.append(hook.id)
        return result

    def _intact(
        self,
        module: Any,
        old: Tensor,
        copy: Tensor | None,
        seen: Tensor,
        forward: Forward | None,
    ) -> bool:
        """True when the hook left the tensor it was given as it was."""
        now = projection(_converted(module, old), forward.heads if forward else 0)
        return _equal(seen, now, old if copy is None else copy, old)

    def _edit(
        self,
        hook: Hook,
        module: Any,
        site: str,
        old: Tensor | None,
        new: Tensor,
        seen: Tensor,
        now: Tensor,
        forward: Forward | None,
        returned: bool,
    ) -> None:
        heads = forward.heads if forward else 0
        if old is None:
            # Edited in place by a function that had only read before: the projection is all we have.
            found = describe(seen.unsqueeze(-1), now.unsqueeze(-1), heads, site)
            found["approximate"] = True
        else:
            moved = seen != now if seen.shape == now.shape else None
            # The sum is NaN when any number is, and one pass cheaper than asking each.
            if moved is not None and math.isnan(float(seen.sum())):
                moved = None  # NaN differs from itself; the elements are asked instead
            found = describe(_converted(module, old), _converted(module, new), heads, site, moved)
        if found["share"] == 0.0:
            return
        hook.edited += 1
        if forward is not None:
            forward.edits += 1
        if hook.edited > MAX_EDIT_ROWS_PER_HOOK:
            self._recorder.ledger.dropped["edit"] += 1
            return
        if found["kind"] != "zero" and "reshaped" not in found:
            number = forward.id if forward else -1
            origin = self._activations.origin(site, number, seen, now)
            if origin is not None:
                found["kind"] = COPY_KINDS[origin.kind]
                found["source"] = origin.forward
                if origin.kind == "mean_all":
                    found["over"] = "batch and positions"
        self._recorder.ledger.add(
            "edit",
            f=forward.id if forward else -1,
            hook=hook.id,
            site=site,
            returned=returned,
            calls=self._recorder.places.stack(),
            **found,
        )

    def totals(self) -> list[list[Any]]:
        """[id, registrations, calls, edits, handed back] of every hook, for the closing rows."""
        for hook in self._by_key.values():
            if not hook.site and hook.module is not None:
                module = hook.module()
                if module is not None:
                    hook.site = self._site(hook, module)
                    if hook.site:
                        self._recorder.ledger.add("site", hook=hook.id, site=hook.site)
        return [
            [one.id, one.registered, one.called, one.edited, one.handed_back]
            for one in self._by_key.values()
        ]


def _equal(seen: Tensor, now: Tensor, before: Tensor, after: Tensor) -> bool:
    """Equal by projection; element by element where NaN or infinity make projections blind."""
    if not torch.equal(seen, now):
        return bool(seen.isnan().any()) and same_values(before, after)
    return True


def _converted(module: Any, tensor: Tensor) -> Tensor:
    """The tensor as transformer_lens shows it to hooks at this point: heads as an axis of their own."""
    conversion = getattr(module, "hook_conversion", None)
    if conversion is None:
        return tensor
    converted = conversion.convert(tensor.detach())
    return converted if isinstance(converted, Tensor) else tensor


def _library(callback: Any) -> str:
    module = getattr(callback, "__module__", None)
    name = module.split(".")[0][:40] if isinstance(module, str) else ""
    return "" if name == "__main__" else name


def _dressed(wrapper: Callable[..., Any], original: Any) -> Callable[..., Any]:
    """The wrapper with the name and documentation of what it wraps."""
    for name in ("__name__", "__qualname__", "__doc__", "__module__"):
        content = getattr(original, name, None)
        if isinstance(content, str):
            setattr(wrapper, name, content)
    wrapper.__wrapped__ = original  # type: ignore[attr-defined]
    return wrapper
