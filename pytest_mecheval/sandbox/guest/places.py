"""Where a plain module keeps its components: stated module paths checked, unstated ones looked for.

A place is a path with `{layer}` (and `{head}` where every head is a module of its own), and a side: what
goes into the module or what comes out of it.
"""

import difflib
from dataclasses import dataclass
from typing import Any

from torch import nn

from .frames import Unanswerable

NONE = "none"
ATTENTION_WORDS = ("attn", "attention", "att", "sa", "mha")
OUTPUT_WORDS = (
    *("out_proj", "o_proj", "c_proj", "proj", "o", "out", "W_O", "wo", "w_o", "to_out", "dense"),
    *("output", "output_proj", "projection", "proj_out", "linear_out"),
)
MLP_WORDS = ("mlp", "ffn", "ff", "ffwd", "feed_forward", "feedforward")
SIDES = ("input", "output")
USUAL_SIDES = {"head": "input", "mlp": "output", "resid": "input", "attention": "output"}
SHOWN = 4
LISTED = 10


@dataclass(frozen=True)
class Place:
    """One kind of component's modules."""

    template: str
    side: str
    found: bool = False
    """Looked for by us, not stated."""

    @property
    def per_head(self) -> bool:
        """Every head is a module of its own."""
        return "{head}" in self.template

    def path(self, layer: int, head: int = 0) -> str:
        """The module's path."""
        return self.template.replace("{layer}", str(layer)).replace("{head}", str(head))

    def __str__(self) -> str:
        return f"{self.template}:{self.side}"


class Places:
    """The places of one model."""

    def __init__(self, model: nn.Module, sites: dict[str, Any]) -> None:
        """Check what is stated, look for the rest.

        Args:
            model: the bundle's module.
            sites: `layers`, `heads`, `width` (0: unknown), and a template for any of `head`, `mlp`, `resid`, `attention`.

        Raises:
            Unanswerable: a stated path names no module; names similar ones.
        """
        self.layers, self.heads = int(sites["layers"]), int(sites["heads"])
        self.width = int(sites["width"])
        self._modules = dict(model.named_modules())
        self._found: dict[str, Place | None] = {}
        for kind in ("head", "mlp", "resid", "attention"):
            text = sites.get(kind) or ""
            if text == NONE:
                self._found[kind] = None
            elif text:
                self._found[kind] = self._stated(kind, text)
            else:
                self._found[kind] = self._looked_for(kind)

    def __getitem__(self, kind: str) -> Place | None:
        return self._found[kind]

    def module(self, kind: str, layer: int, head: int = 0) -> nn.Module:
        """The module of a component whose place is known."""
        place = self._found[kind]
        if place is None:
            raise Unanswerable(f"sites.{kind} is not known")
        module: nn.Module = self._modules[place.path(layer, head)]
        return module

    def described(self) -> str:
        """All places on one line, `kind=template:side`, for the reader; then what else there is, if any is unknown."""
        known = [(kind, place) for kind, place in self._found.items() if place is not None]
        text = ";".join(f"{kind}={place}" for kind, place in known)
        if self._found["head"] is None or self._found["mlp"] is None:
            names = [name for name in self._modules if name]
            text += f";modules={','.join(names[:LISTED])}"
        return text

    def _stated(self, kind: str, text: str) -> Place:
        template, _, side = text.partition(":")
        place = Place(template, side or USUAL_SIDES[kind])
        self._require(kind, place)
        return place

    def _require(self, kind: str, place: Place) -> None:
        for layer in range(self.layers):
            for head in range(self.heads if place.per_head else 1):
                path = place.path(layer, head)
                if path not in self._modules:
                    raise Unanswerable(f"sites.{kind}: no module {path}{self._similar(path)}")
        beyond = place.path(self.layers)
        if beyond in self._modules and beyond != place.path(0):
            raise Unanswerable(f"sites.layers says {self.layers}, but there is a module {beyond}")

    def _similar(self, path: str) -> str:
        names = [name for name in self._modules if name]
        near = difflib.get_close_matches(path, names, SHOWN, cutoff=0.5) or names[:SHOWN]
        return f"; similar: {', '.join(near)}"

    def _looked_for(self, kind: str) -> Place | None:
        blocks = self._blocks()
        if not blocks:
            return None
        if kind == "resid":
            return Place(blocks, "input", found=True)
        first = blocks.replace("{layer}", "0")
        inner = [name[len(first) + 1 :] for name in self._modules if name.startswith(f"{first}.")]
        match kind:
            case "mlp":
                names = [name for name in inner if name.lower() in MLP_WORDS]
            case "head":
                names = [name for name in inner if self._writes_heads(f"{first}.{name}", name)]
            case _:
                names = []
        if len(names) != 1:
            return None
        place = Place(f"{blocks}.{names[0]}", USUAL_SIDES[kind], found=True)
        paths = [place.path(layer) for layer in range(self.layers)]
        return place if all(path in self._modules for path in paths) else None

    def _blocks(self) -> str:
        """The template of the one list of alike modules that is as long as the model is deep."""
        lists = [
            name
            for name, module in self._modules.items()
            if isinstance(module, nn.ModuleList | nn.Sequential)
            and len(module) == self.layers
            and len({type(block) for block in module}) == 1
            and any(True for _ in module[0].children())
        ]
        outer = [name for name in lists if not any(name.startswith(f"{o}.") for o in lists)]
        return f"{outer[0]}.{{layer}}" if len(outer) == 1 else ""

    def _writes_heads(self, path: str, name: str) -> bool:
        """A linear map inside attention, named like an output projection, as wide as its heads."""
        *above, last = name.split(".")
        weight = getattr(self._modules[path], "weight", None)
        inside = last in OUTPUT_WORDS and any(_says_attention(word) for word in above)
        beside = _says_attention(last) and last.endswith(("out", "proj", "output"))
        return (
            self.heads > 0
            and (inside or beside)
            and weight is not None
            and weight.ndim == 2
            and weight.shape[1] % self.heads == 0
        )


def _says_attention(word: str) -> bool:
    parts = word.lower().replace("_", " ").split()
    return any(part in ATTENTION_WORDS for part in parts) or "attn" in word or "attention" in word
