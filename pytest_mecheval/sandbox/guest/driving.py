"""Drives the bundle's model: every edit the parent chose, on prompts it chose; raw logits come back.

What an edit means is the harness's definition (`harness.interventions`): a head is its output before the
output projection, `mean` is per position over calibration prompts, `counterfactual` the paired prompt's
activation. Answers are not known here, so no metric is.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .calls import plain
from .edits import (
    NO_HEAD,
    NO_MLP,
    NO_PLACE,
    NO_TURN,
    OK,
    SHORT,
    Edit,
    Impossible,
    rotation_matrix,
    turned,
    written,
)
from .frames import Listed, Request, Unanswerable
from .places import Places
from .prompts import MOST_PARTNERS, Calibration, Prompts, prompts_named, rows_of
from .subject import Change, Key, Subject, Trace, load


def drive(task: Mapping[str, Any], request: Request) -> Listed:
    """Load the model once and answer every group.

    Raises:
        Unanswerable: the model cannot be loaded or does not fit the stated sites.
    """
    torch.set_num_threads(int(task["threads"]))
    with torch.no_grad():
        model = load(task)
        torch.set_num_threads(int(task["threads"]))
        torch.set_flush_denormal(True)
        places = Places(model, task["sites"])
        subject = Subject(model, places)
        shared: dict[str, Calibration] = {}
        listed: Listed = []
        for group in task["groups"]:
            name = group["calibration"]
            if name not in shared:
                shared[name] = Calibration(subject, prompts_named(request, name))
            prompts = prompts_named(request, group["name"])
            listed += Group(subject, prompts, shared[name]).answers(group)
    text = f"class={type(model).__name__};{places.described()}"
    listed.append(
        plain("places", torch.tensor(list(text.encode("ascii", "replace")), dtype=torch.uint8))
    )
    listed.append(plain("forwards", torch.tensor([subject.forwards])))
    return listed


class Group:
    """All edits on one set of prompts."""

    def __init__(self, subject: Subject, prompts: Prompts, calibration: Calibration) -> None:
        self._subject = subject
        self._places = subject.places
        self._prompts = prompts
        self._calibration = calibration

    def answers(self, group: Mapping[str, Any]) -> Listed:
        """Logits at the read position of every edit, and what else was asked of the group."""
        name = group["name"]
        states, partners, edits = [], [], []
        for wanted in group["edits"]:
            state, edit = OK, None
            found: list[tuple[int, int]] = []
            try:
                edit, found = self._resolved(wanted)
            except Impossible as error:
                state = error.code
            states.append(state)
            edits.append(edit)
            width = MOST_PARTNERS - len(found)
            partners.append([*(list(head) for head in found), *([[-1, -1]] * width)])
        rows, watched = self._run([edit for edit in edits if edit], group["patterns"])
        blank = torch.zeros_like(next(iter(rows.values())))
        logits = torch.stack([rows[edit] if edit else blank for edit in edits])
        listed = [
            plain(f"{name}.logits", logits),
            plain(f"{name}.states", torch.tensor(states)),
            plain(f"{name}.partners", torch.tensor(partners)),
        ]
        if group["patterns"]:
            n, length = self._prompts.clean.shape
            empty = torch.zeros(len(group["patterns"]), n, length)
            seen = watched.numel() > 0
            listed.append(plain(f"{name}.patterns", watched if seen else empty))
            listed.append(plain(f"{name}.seen", torch.tensor([int(seen)])))
        return listed

    def _resolved(self, wanted: Mapping[str, Any]) -> tuple[Edit, list[tuple[int, int]]]:
        """An edit with its partners; what the model has no place for is impossible."""
        heads = {(layer, head) for layer, head in wanted["heads"]}
        mlps, resids = set(wanted["mlps"]), set(wanted["resids"])
        if wanted["everything"]:
            heads, mlps = self._everything(wanted["everything"])
            if wanted["everything"] == "all" and not heads and not mlps:
                resids = {0}
        found: list[tuple[int, int]] = []
        if wanted["joint"] != "alone":
            alone = {(layer, head) for layer, head in wanted["named_heads"]}
            found = self._calibration.partners(alone)
            if wanted["joint"] == "partners_only":
                heads, mlps, resids = set(), set(), set()
            heads |= set(found)
        layers = sorted({layer for layer, _ in heads})
        edit = Edit(
            tuple((n, tuple(sorted(head for layer, head in heads if layer == n))) for n in layers),
            tuple(sorted(mlps)),
            tuple(sorted(resids)),
            wanted["source"],
            wanted["base"],
            wanted["positions"],
            wanted["rotation"],
        )
        self._require(edit)
        return edit, found

    def _everything(self, kinds: str) -> tuple[set[tuple[int, int]], set[int]]:
        layers, heads = range(self._places.layers), range(self._places.heads)
        has_heads, has_mlps = self._places["head"] is not None, self._places["mlp"] is not None
        if (kinds == "heads" and not has_heads) or (kinds == "mlps" and not has_mlps):
            raise Impossible(NO_HEAD if kinds == "heads" else NO_MLP)
        chosen = {(n, h) for n in layers for h in heads} if has_heads and kinds != "mlps" else set()
        return chosen, set(layers) if has_mlps and kinds != "heads" else set()

    def _require(self, edit: Edit) -> None:
        for kind, _ in sorted(edit.keys):
            if self._places[kind] is None:
                raise Impossible(NO_PLACE[kind])
        place = self._places["head"]
        if (
            edit.rotation >= 0
            and edit.heads
            and place
            and (place.side, place.per_head) != ("input", False)
        ):
            raise Impossible(NO_TURN)
        lengths = self._calibration.prompts.clean.shape[1], self._prompts.clean.shape[1]
        if edit.source == "mean" and lengths[0] != lengths[1]:
            raise Impossible(SHORT)

    def _run(
        self, edits: list[Edit], patterns: list[list[Any]]
    ) -> tuple[dict[Edit, Tensor], Tensor]:
        """Logits by edit, (n, outputs); attention rows, (patterns, n, length)."""
        unique = list(dict.fromkeys(edits))
        parts: dict[Edit, list[Tensor]] = {edit: [] for edit in unique}
        watched: list[Tensor] = []
        n = len(self._prompts.clean)
        step = rows_of(self._prompts.clean)
        for at in range(0, n, step):
            chunk = _Chunk(self._subject, self._prompts, slice(at, min(n, at + step)))
            chunk.prepare(unique, watch=bool(patterns))
            for edit in unique:
                parts[edit].append(chunk.logits(edit, self._calibration))
            if patterns:
                watched.append(chunk.attention(patterns))
        rows = {edit: torch.cat(found) for edit, found in parts.items()}
        return rows, torch.cat(watched, dim=1) if watched else torch.empty(0)


class _Chunk:
    """Some rows of a group, with the activations of their unedited runs."""

    def __init__(self, subject: Subject, prompts: Prompts, rows: slice) -> None:
        self._subject = subject
        columns = {name: column[rows] for name, column in prompts.columns.items()}
        self._prompts = Prompts(prompts.clean[rows], prompts.other[rows], columns)
        self._traces: dict[str, Trace] = {}
        self._logits: dict[str, Tensor] = {}
        self._patterns: list[Tensor] = []

    def prepare(self, edits: list[Edit], *, watch: bool) -> None:
        """The unedited runs these edits need, once each, keeping the components they read."""
        needed: dict[str, set[Key]] = {"clean": set()}
        for edit in edits:
            needed.setdefault(edit.base, set())
            prompt = {"unchanged": edit.base, "clean": "clean", "counterfactual": "counterfactual"}
            if edit.source in prompt:
                needed.setdefault(prompt[edit.source], set()).update(edit.keys)
        for base, keys in needed.items():
            watching = watch and base == "clean"
            tokens = self._prompts.tokens(base)
            trace, logits, patterns = self._subject.trace(tokens, keys, watch=watching)
            self._traces[base], self._logits[base] = trace, self._read(logits)
            if watching:
                self._patterns = patterns

    def logits(self, edit: Edit, calibration: Calibration) -> Tensor:
        """Logits at the read position under an edit, (rows, outputs)."""
        if not edit.keys:
            return self._logits[edit.base]
        where = self._where(edit.positions)
        source = self._source(edit, calibration)
        hooks: dict[Key, Change] = {}
        handles = []
        rotations: dict[int, Tensor] = {}
        for key in sorted(edit.keys):
            kind, layer = key
            heads = dict(edit.heads).get(layer, ())
            if edit.rotation < 0:
                hooks[key] = written(source, key, heads, where)
            elif kind == "head":
                width = _width(self._subject, layer)
                turn = rotations.setdefault(width, rotation_matrix(edit.rotation, width))
                change = written(source, key, heads, None)
                handles.append(self._subject.turned(layer, turn, where, change))
            else:
                hooks[key] = turned(source, key, edit.rotation, where)
        try:
            return self._read(self._subject.run(self._prompts.tokens(edit.base), hooks))
        finally:
            for handle in handles:
                handle.remove()

    def attention(self, wanted: list[list[Any]]) -> Tensor:
        """Attention rows from named query positions, (wanted, rows, length); nothing where none are seen."""
        if not self._patterns:
            return torch.empty(len(wanted), 0)
        rows = torch.arange(len(self._prompts.clean))
        return torch.stack(
            [
                self._patterns[layer][rows, head, self._prompts.columns[f"at.{query}"]]
                for layer, head, query in wanted
            ]
        )

    def _source(self, edit: Edit, calibration: Calibration) -> Trace | str:
        match edit.source:
            case "zero" | "noise":
                return edit.source
            case "mean":
                return calibration.mean(edit.base, edit.keys)
            case "unchanged":
                return self._traces[edit.base]
            case prompt:
                return self._traces[prompt]

    def _where(self, positions: str) -> Tensor | None:
        """(rows, length, 1), True at the written position."""
        if positions == "all":
            return None
        steps = torch.arange(self._prompts.clean.shape[1])
        return (steps[None, :] == self._prompts.columns[f"at.{positions}"][:, None]).unsqueeze(-1)

    def _read(self, logits: Tensor) -> Tensor:
        read = self._prompts.columns["read"]
        if logits.ndim == 2:
            if int(read.min()) < self._prompts.clean.shape[1] - 1:
                raise Unanswerable(
                    "the model answers once per prompt, but the task reads before the last token"
                )
            return logits
        return logits[torch.arange(len(logits)), read]


def _width(subject: Subject, layer: int) -> int:
    weight = getattr(subject.places.module("head", layer), "weight", None)
    if weight is None or weight.ndim != 2:
        raise Unanswerable("sites.head is not a linear map, so no random direction is defined")
    return int(weight.shape[0])
