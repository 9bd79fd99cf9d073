"""The rows of a runtime ledger as frozen records: what bundle code did, as its own process told it.

Testimony, read by `ledger_fields` under bounds: texts are printable ASCII, numbers finite.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

EditKind = Literal["zero", "constant", "mean", "copy", "permuted", "scaled", "added", "other"]
"""What a hook wrote: zeros; the same for every row; the mean of a recorded activation; a recorded
activation of another forward; rows of a recorded activation in another order (resampling, also from the
running forward itself); a multiple; the same difference for every row (steering); none of these."""
FileMode = Literal["read", "write", "removed", "renamed"]
CellStatus = Literal["ok", "error", "exit", "skipped"]


@dataclass(frozen=True, slots=True)
class Start:
    """What was run, and how."""

    entry: str
    python: str
    sham: str
    sham_seed: int
    seed_shift: int


@dataclass(frozen=True, slots=True)
class Tensor:
    """One named weight and the hash of its values (`fingerprints.content_hash`)."""

    name: str
    shape: str
    content: str


@dataclass(frozen=True, slots=True)
class Load:
    """Weights that came into the process."""

    how: str
    """`safetensors.load_file`, `torch.load`, `from_pretrained`, ..."""
    source: str
    content: str
    tensors: tuple[Tensor, ...]
    calls: tuple[str, ...]
    """Call site: `file:line` inside the bundle, innermost first."""


@dataclass(frozen=True, slots=True)
class Sham:
    """Weights handed out in place of the loaded ones, or why not."""

    kind: str
    source: str
    applied: bool
    reason: str
    layout: str
    permutations: Mapping[str, tuple[int, ...]]
    """Per layer: slot i held the head that was at permutations[layer][i]."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model at its first forward."""

    id: int
    of: str
    heads: int
    parameters: int
    content: str
    tensors: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class Inputs:
    """One distinct batch; `rows` are 48-bit hashes, one per example (at most 2048 are listed)."""

    id: int
    count: int
    shape: tuple[int, ...]
    rows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Forward:
    """One root call of a model."""

    id: int
    model: int
    part: str
    """The sub-module when only a part was called, else ""."""
    inputs: int
    """Id of the batch, -1 when unknown."""
    batch: int
    output: str
    """Fingerprint of the output; equal outputs have equal ones."""
    reads: tuple[int, ...]
    """Hooks that were called and changed nothing."""
    edits: int
    wall: float
    cpu: float
    rng: str
    train: bool
    error: str
    calls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hook:
    """A callback at a site, counted over all its registrations."""

    id: int
    site: str
    of: str
    function: str
    """Where it is defined: `file:line name`, "" for a library's."""
    by: str
    """The library that registered it for the bundle, or ""."""
    calls: tuple[str, ...]
    registered: int = 0
    called: int = 0
    edited: int = 0
    handed_back: int = 0
    """Calls that returned a value and changed nothing with it."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One call of a hook that changed the activation."""

    forward: int
    """-1 outside any observed forward."""
    hook: int
    site: str
    kind: EditKind
    share: float
    """Share of elements changed, 0 to 1."""
    delta_max: float | None
    """Largest absolute change, activation units; None when not finite."""
    delta_rel: float | None
    """Norm of the change over the norm before."""
    heads: str
    """Heads changed as ranges (`1,3-5`), `all`, or "" when the axis is unknown."""
    blocks: str
    """Head-sized blocks of the last axis that changed, where the site does not tell heads."""
    positions: str
    columns: str
    rows: int
    source: int | None
    """For copy and mean: the forward whose activation it is; the running one for its own rows or mean."""
    value: float | None
    """For constant: the one number written."""
    factor: float | None
    """For scaled."""
    returned: bool
    approximate: bool
    calls: tuple[str, ...]
    of_rows: int = 0
    """Rows (first axis) that the activation has, of which `rows` changed; 0 when unknown."""


@dataclass(frozen=True, slots=True)
class WeightChange:
    """Parameters whose values differ from the forward before."""

    model: int
    before: int
    """The forward about to run; -1 at the end of the run."""
    after: int
    changed: int
    optimizer: bool
    """True when an optimizer stepped in between: training, not an edit."""
    causes: tuple[str, ...]
    tensors: tuple["TensorChange", ...]


@dataclass(frozen=True, slots=True)
class TensorChange:
    """One changed parameter."""

    name: str
    share: float
    zero: bool
    restored: bool
    """Back to what it was when the model was first seen."""
    axes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Replaced:
    """A `forward` that is no longer the class's own."""

    model: int
    what: str
    site: str
    function: str
    by: str


@dataclass(frozen=True, slots=True)
class Seed:
    """A generator seeded by the bundle; `given` is False for a seed from the clock."""

    generator: str
    value: int | None
    given: bool
    calls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FileUse:
    """First use of a bundle file in a mode."""

    path: str
    mode: FileMode
    after: int
    """The last forward before it, -1 for none."""
    calls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """A file the run wrote, as it stood at the end."""

    path: str
    size: int
    sha256: str
    numbers: tuple[str, ...]
    calls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Printed:
    """A printed line that holds numbers."""

    numbers: tuple[str, ...]
    text: str
    after: int
    calls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attempt:
    """A process, socket or signal the code asked for."""

    event: str
    detail: str
    calls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """One notebook cell; numbers count all cells from 1."""

    notebook: str
    cell: int
    status: CellStatus
    error: str
    trace: tuple[str, ...]
    stdout: str
    stderr: str
    outputs: tuple[str, ...]
    wall: float
    after: int


@dataclass(frozen=True, slots=True)
class End:
    """How the run ended, as it said itself."""

    status: str
    detail: str
    forwards: int
    cpu: float
    forward_cpu: float
    """CPU seconds inside observed forwards."""
    children_cpu: float
    totals: Mapping[str, int]
    dropped: Mapping[str, int]
    """Rows per type that a limit kept out."""


Row = (
    Start
    | Load
    | Sham
    | Model
    | Inputs
    | Forward
    | Hook
    | Edit
    | WeightChange
    | Replaced
    | Seed
    | FileUse
    | Written
    | Printed
    | Attempt
    | Cell
    | End
)
