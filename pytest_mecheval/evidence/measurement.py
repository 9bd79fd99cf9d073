"""Evidence a decision reads: one array per plan step, never a mean, with its provenance and no opinions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_mecheval.errors import MechevalError
from pytest_mecheval.wire import PlanStep, Record, digest

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One value per independent unit for one plan step."""

    values: Values
    """Shape (units,); prompts of one cluster are averaged into one unit."""
    exhaustive: bool = False
    """The units are the whole population: no sampling error, no interval."""
    tolerance: float = 0.0
    """Numeric deviation between two computation paths, metric's unit."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    address: str = ""
    """Where its record lies in the evidence store; empty when it has none."""
    content: str = ""
    """Hash of everything a decision can read of it: the same address may hold other numbers one day."""


class MissingEvidence(MechevalError):
    """A decision asked for a step its plan did not name: a defect of the check kind."""


@dataclass(frozen=True)
class Evidence:
    """All measurements of one claim, looked up by the plan step that asked for them."""

    measurements: Mapping[PlanStep, Measurement]
    unavailable: str = ""
    """Why the bundle's model or data could not be measured at all; empty when it could."""

    def __getitem__(self, step: PlanStep) -> Measurement:
        """The measurement of a step.

        Raises:
            MissingEvidence: the step was not planned.
        """
        try:
            return self.measurements[step]
        except KeyError:
            raise MissingEvidence(
                f"no measurement for {step}; plan() must name every step decide() reads"
            ) from None

    def values(self, step: PlanStep) -> Values:
        """The step's values, shape (units,)."""
        return self[step].values

    @property
    def tolerance(self) -> float:
        """Largest numeric deviation over all measurements."""
        return max((m.tolerance for m in self.measurements.values()), default=0.0)


VOLATILE_FACTS = frozenset({"attempts", "environment", "isolation", "notes", "seconds", "started"})
"""Facts of a rerun that are about this machine and this moment; no decision reads them."""


def measured(record: Record, provenance: Mapping[str, Any] | None = None) -> Measurement:
    """A stored record as decisions read it.

    Args:
        record: verified by the store.
        provenance: instead of the record's own.
    """
    values = np.asarray(record.values, dtype=np.float64)
    return Measurement(
        values=unit_means(values, np.asarray(record.clusters, dtype=np.int64)),
        exhaustive=record.exhaustive,
        tolerance=record.tolerance,
        facts=record.facts,
        provenance=record.provenance if provenance is None else provenance,
        address=record.address,
        content=content_hash(record),
    )


def content_hash(record: Record) -> str:
    """Hex SHA-256 of what decisions can read of a record."""
    facts = {key: value for key, value in record.facts.items() if key not in VOLATILE_FACTS}
    body = [record.values, record.clusters, record.exhaustive, record.tolerance, facts]
    return digest([*body, record.unavailable])


def unit_means(values: Values, clusters: NDArray[np.int64]) -> Values:
    """Mean per cluster in order of first appearance, shape (units,).

    >>> unit_means(np.array([1.0, 3.0, 5.0]), np.array([7, 7, 2])).tolist()
    [2.0, 5.0]
    """
    if clusters.size == 0 or np.unique(clusters).size == clusters.size:
        return values
    _, first, index = np.unique(clusters, return_index=True, return_inverse=True)
    means = np.bincount(index, weights=values) / np.bincount(index)
    ordered: Values = means[np.argsort(first)]
    return ordered
