"""What a decision says: a verdict, one checkable sentence, the estimate, its controls, what was needed."""

from dataclasses import dataclass

from pytest_mecheval.vocabulary import Rung, Tier, Verdict


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its uncertainty; no bare float reaches a report."""

    value: float
    lower: float
    """One-sided bound: the truth lies below it with probability at most `alpha`."""
    upper: float
    """One-sided bound: the truth lies above it with probability at most `alpha`."""
    alpha: float
    n: int
    unit: str
    method: str

    def __str__(self) -> str:
        """`2.1 nats [1.9, 2.3] (99% one-sided, n=256, betting)`."""
        unit = f" {self.unit}" if self.unit else ""
        if self.lower == self.upper == self.value:
            return f"{self.value:.4g}{unit} (exact over {self.n} inputs)"
        return (
            f"{self.value:.4g}{unit} [{self.lower:.4g}, {self.upper:.4g}] "
            f"({100 * (1 - self.alpha):g}% one-sided, n={self.n}, {self.method})"
        )


@dataclass(frozen=True, slots=True)
class Control:
    """One matched control: what the same measurement gives for something not claimed."""

    name: str
    value: float
    """Mean effect in the claimed direction, estimate's unit."""


@dataclass(frozen=True, slots=True)
class Shams:
    """How often the same rule passes sham claims (METHODS V01)."""

    passed: int
    tried: int
    names: tuple[str, ...] = ()
    """The sham claims that passed."""

    @property
    def rate(self) -> float:
        """Share of sham claims that passed; 0 when none was tried."""
        return self.passed / self.tried if self.tried else 0.0


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome for one claim: same spec and evidence, same decision, on every machine."""

    verdict: Verdict
    code: str
    """Short reason such as `not special`, `no such component`; empty when SUPPORTED."""
    measured: str
    """One sentence: what was measured, with the estimate."""
    needed: str
    """One sentence: what would have supported the claim (and so what refutes it)."""
    rung: Rung
    estimate: Estimate | None = None
    threshold: float | None = None
    """Smallest value that supports the claim, estimate's unit; drawn in plots."""
    controls: tuple[Control, ...] = ()
    shams: Shams | None = None
    p_value: float | None = None
    """Evidence for support, for the family-wise (Holm) statement; None when not applicable."""
    tier: Tier = Tier.T0
    """Filled in by the runner from who supplied model and data."""
    notes: tuple[str, ...] = ()
    """Everything else a reviewer should know: self-repair, operationalisation, other ablation values."""

    @property
    def headline(self) -> str:
        """`REFUTED (not special)` or plain `SUPPORTED`."""
        return f"{self.verdict} ({self.code})" if self.code else str(self.verdict)
