"""The field's terms as frozen types, read this first: component, ablation, metric, verdict, rung, tier.

Standard library only, because the harness child and pytest both speak these words.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from pytest_mecheval.errors import UsageError


class AblationValue(StrEnum):
    """What replaces an activation; conclusions depend on it, so there is no silent default."""

    ZERO = "zero"
    """Zeros; off-distribution unless zero means something in the architecture."""
    MEAN = "mean"
    """Mean over calibration prompts, per position."""
    RESAMPLE = "resample"
    """The activation on the paired counterfactual prompt (interchange); in distribution."""


class Metric(StrEnum):
    """One value per prompt at its read position; higher is better except loss and kl."""

    LOGIT_DIFF = "logit_diff"
    """Answer logit minus foil logit, nats."""
    LOGPROB = "logprob"
    """Log probability of the answer, nats."""
    PROB = "prob"
    """Probability of the answer, 0 to 1; saturates."""
    LOSS = "loss"
    """Cross entropy of the answer, nats; lower is better."""
    ACCURACY = "accuracy"
    """1 when the answer has the largest logit, else 0."""
    KL = "kl"
    """KL(clean run || this run) over the vocabulary, nats; 0 means unchanged."""

    @property
    def lower_is_better(self) -> bool:
        """True for loss and kl."""
        return self in (Metric.LOSS, Metric.KL)

    @property
    def unit(self) -> str:
        """`nats`, or `` (a share) for prob and accuracy."""
        return "" if self in (Metric.PROB, Metric.ACCURACY) else "nats"


class Verdict(StrEnum):
    """What a decision says about a claim (DESIGN section 6)."""

    SUPPORTED = "SUPPORTED"
    REFUTED = "REFUTED"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_TESTABLE = "NOT_TESTABLE"
    VACUOUS = "VACUOUS"


class Dimension(StrEnum):
    """The three questions a reviewer asks."""

    COHERENCE = "coherence"
    """Does the code do what plan and prose say."""
    REPRODUCIBILITY = "reproducibility"
    """Do the numbers come out again, from their code and from ours."""
    GENERALIZABILITY = "generalizability"
    """Does the finding hold on new data, templates, models."""


class Rung(StrEnum):
    """What kind of evidence was gathered."""

    L0 = "L0"
    """Structural: names, counts, weights read."""
    L1 = "L1"
    """Associational: attention, attribution, accuracy without intervention."""
    L2 = "L2"
    """Interventional: an effective edit with the metric measured downstream."""
    L3 = "L3"
    """Predictive: an intervention's outcome foretold."""


class Tier(StrEnum):
    """Who measured."""

    T0 = "T0"
    """Prose."""
    T1 = "T1"
    """Testimony: the bundle's own output."""
    T2 = "T2"
    """Measured by us on the bundle's data or module."""
    T3 = "T3"
    """Independent: our loader, our interventions, our data."""


ComponentKind = Literal["head", "attn", "mlp", "resid", "input"]

_CANONICAL = re.compile(r"a(\d+)\.h(\d+)|a(\d+)|m(\d+)|r(\d+)|input")
_HEAD_SPELLINGS = re.compile(r"(?:head\s*)?(?:L(\d+)\.?H(\d+)|(\d+)\.(\d+))", re.IGNORECASE)
_HOOK_SPELLINGS = re.compile(
    r"blocks\.(\d+)\.(?:(hook_mlp_out|mlp)|(hook_attn_out|attn)|(hook_resid_pre))"
)
COMPONENT_FORMS = "a1.h6 (head), a1 (all heads of layer 1), m0 (MLP), r1 (residual stream entering layer 1), input"


@dataclass(frozen=True, slots=True, order=True)
class Component:
    """A part of the model that can be read or written; ordered by kind, layer, head."""

    kind: ComponentKind
    layer: int = 0
    head: int = -1

    @classmethod
    def parse(cls, text: str) -> "Component":
        """The component a name means; the field's other spellings (`L9H6`, `9.6`) are normalised.

        Raises:
            UsageError: the text names no component.

        >>> str(Component.parse("L9H6")), str(Component.parse("head 9.6")), str(Component.parse("m4"))
        ('a9.h6', 'a9.h6', 'm4')
        """
        word = text.strip()
        if match := _CANONICAL.fullmatch(word):
            layer, head, attn, mlp, resid = match.groups()
            if head is not None:
                return cls("head", int(layer), int(head))
            if attn is not None:
                return cls("attn", int(attn))
            if mlp is not None:
                return cls("mlp", int(mlp))
            return cls("input") if resid is None else cls("resid", int(resid))
        if match := _HEAD_SPELLINGS.fullmatch(word):
            numbers = [int(group) for group in match.groups() if group is not None]
            return cls("head", numbers[0], numbers[1])
        if match := _HOOK_SPELLINGS.fullmatch(word):
            layer = int(match[1])
            return cls("mlp" if match[2] else "attn" if match[3] else "resid", layer)
        raise UsageError(f"unknown component {text!r} (allowed: {COMPONENT_FORMS})")

    def __str__(self) -> str:
        """The canonical name, as bundles write it."""
        match self.kind:
            case "head":
                return f"a{self.layer}.h{self.head}"
            case "attn":
                return f"a{self.layer}"
            case "mlp":
                return f"m{self.layer}"
            case "resid":
                return f"r{self.layer}"
            case "input":
                return "input"


@dataclass(frozen=True, slots=True)
class ModelShape:
    """How big the model under study is; read from its configuration file without loading it."""

    n_layers: int
    n_heads: int
    d_model: int
    d_vocab: int
    n_ctx: int
    d_mlp: int = 0
    """0 for an attention-only model."""

    def has(self, component: Component) -> bool:
        """Whether the model has this component.

        >>> ModelShape(2, 4, 64, 64, 48).has(Component.parse("a1.h9"))
        False
        """
        if component.kind == "input":
            return True
        if component.layer >= self.n_layers:
            return False
        if component.kind == "head":
            return component.head < self.n_heads
        return component.kind != "mlp" or self.d_mlp > 0

    def heads(self) -> tuple[Component, ...]:
        """Every attention head, by layer then head."""
        return tuple(
            Component("head", layer, head)
            for layer in range(self.n_layers)
            for head in range(self.n_heads)
        )

    def mlps(self) -> tuple[Component, ...]:
        """Every MLP, by layer; empty for an attention-only model."""
        return (
            tuple(Component("mlp", layer) for layer in range(self.n_layers)) if self.d_mlp else ()
        )
