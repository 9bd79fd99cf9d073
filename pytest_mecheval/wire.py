"""What crosses a process boundary: plan steps and measured arrays as standard-library dataclasses.

The harness child, the parent that plans and the evidence store share these and nothing else.
A `PlanStep` names exactly one measured array; its content address is the hash of everything that can
change that array, so two claims that need the same number share one measurement.
"""

import dataclasses
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

WIRE_FORMAT = 1
"""Raised whenever a document on disk changes meaning; part of every content address."""

Split = Literal["calibration", "evaluation"]
Source = Literal["zero", "mean", "counterfactual", "clean", "unchanged"]
Base = Literal["clean", "counterfactual"]
Joint = Literal["alone", "with_partners", "partners_only"]


@dataclass(frozen=True, slots=True)
class Slice:
    """Which prompts: a named task, one split of it, one stratum, how many."""

    task: str
    split: Split
    stratum: str = "fresh"
    n: int = 256
    """Prompts drawn; exhaustive tasks enumerate on the evaluation split and ignore it."""


@dataclass(frozen=True, slots=True)
class Intervention:
    """What is written where, in canonical component names (`a1.h6`, `m0`, `input`, `r2`)."""

    components: tuple[str, ...]
    """Written together in one forward pass, sorted; empty means an unedited run."""
    source: Source = "unchanged"
    """Where the written activation comes from; `unchanged` is the placebo (CTL-11)."""
    base: Base = "clean"
    """The prompt that runs: `counterfactual` with source `clean` is denoising."""
    positions: str = "all"
    """`all`, or one named position of the task (`END`, `S2` ...)."""
    receivers: tuple[str, ...] = ()
    """Path patching: only these inputs (`a1.h1.k`) see the change; empty means everything does."""
    joint: Joint = "alone"
    """`with_partners`/`partners_only`: with the same-role heads the harness finds on calibration data."""
    rotation: int = -1
    """k >= 0: the change is turned by the k-th random orthogonal matrix (CTL-6), same norm and rank."""


@dataclass(frozen=True, slots=True)
class Run:
    """One metric value per prompt of a forward pass, edited or not."""

    intervention: Intervention
    metric: str
    """logit_diff | logprob | prob | loss | accuracy | kl (kl is against the clean run)."""
    type: Literal["run"] = "run"


@dataclass(frozen=True, slots=True)
class Attention:
    """Attention mass of one head from a named query position to a named key position, per prompt."""

    head: str
    query: str
    key: str
    type: Literal["attention"] = "attention"


@dataclass(frozen=True, slots=True)
class Attribution:
    """Direct logit attribution of one component to logit_diff, LayerNorm scale frozen, per prompt."""

    component: str
    type: Literal["attribution"] = "attribution"


@dataclass(frozen=True, slots=True)
class Document:
    """Facts read from a data file of the bundle (a node list), without running anything."""

    file: str
    type: Literal["document"] = "document"


@dataclass(frozen=True, slots=True)
class Prose:
    """Where one document of the bundle states a number, with the words around it; nothing is run."""

    file: str
    """Relative to the bundle."""
    text: str
    """A number, or a sentence that must stand there word for word."""
    type: Literal["prose"] = "prose"


@dataclass(frozen=True, slots=True)
class Code:
    """The units of the bundle's own code, read from its syntax: functions, cells, literals; nothing is run."""

    type: Literal["code"] = "code"


@dataclass(frozen=True, slots=True)
class Decoy:
    """A stored file in which component names are exchanged for others before the script sees it."""

    file: str
    """Relative to the bundle."""
    names: tuple[tuple[str, str], ...]
    """(name in the file, name written instead)."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A function of the bundle that is emptied before the script calls it (METHODS V07)."""

    function: str
    """`src/ablate.py:ablate`, relative to the bundle."""
    gives: Literal["input", "constant", "error"]
    """What it does instead: its first argument as it came, 0.0, or an exception."""


@dataclass(frozen=True, slots=True)
class Rerun:
    """What one of the bundle's own scripts or notebooks really did, run in the sandbox: testimony."""

    entry: str
    """Relative to the bundle."""
    sham: Literal["none", "shuffle", "headperm"] = "none"
    """`shuffle`: every weight matrix has its entries permuted (CTL-3); `headperm`: the attention heads of
    every layer change places, so the model's function stays."""
    seed_shift: int = 0
    """Added to every seed the script sets."""
    poison: Literal["none", "finite", "nan"] = "none"
    """What replaces the values that the script's interventions write (METHODS K02)."""
    poison_sites: tuple[str, ...] = ()
    """Only there: module paths or hook names, whole or their last parts; empty: everywhere."""
    repeat: int = 0
    """Runs with different numbers are different runs of the same thing."""
    sham_seed: int = 0
    """Of the permutation; other seeds give other shams."""
    keep: tuple[str, ...] = ()
    """Stored results the script is meant to read; all others are left out."""
    decoy: Decoy | None = None
    mutant: Mutant | None = None
    type: Literal["rerun"] = "rerun"

    @property
    def changes(self) -> tuple[str, ...]:
        """What is not as the bundle has it, in a few words each; empty for the run as it is.

        >>> Rerun("run.py", sham="shuffle", seed_shift=7).changes
        ('weights shuffled', 'seeds shifted by 7')
        """
        words = {
            "weights shuffled": self.sham == "shuffle",
            "heads permuted": self.sham == "headperm",
            f"seeds shifted by {self.seed_shift}": self.seed_shift != 0,
            f"edits poisoned ({self.poison})": self.poison != "none",
            "once more": self.repeat > 0,
        }
        if self.decoy is not None:
            exchanged = ", ".join(f"{new} for {old}" for old, new in self.decoy.names)
            words[f"{exchanged} in {self.decoy.file}"] = True
        if self.mutant is not None:
            words[f"{self.mutant.function} gives {self.mutant.gives}"] = True
        return tuple(text for text, applies in words.items() if applies)


Probe = Run | Attention | Attribution | Document | Prose | Code | Rerun
_PROBES: dict[
    str,
    type[Run]
    | type[Attention]
    | type[Attribution]
    | type[Document]
    | type[Prose]
    | type[Code]
    | type[Rerun],
] = {
    "prose": Prose,
    "code": Code,
    "rerun": Rerun,
    "run": Run,
    "attention": Attention,
    "attribution": Attribution,
    "document": Document,
}


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One array to be measured: these prompts, this probe."""

    slice: Slice
    probe: Probe


@dataclass(frozen=True, slots=True)
class ModelRef:
    """The model under study, as files: nothing of it is imported by us."""

    loader: Literal["transformer_lens", "hub", "python"]
    name: str = ""
    """Hub name (resolved in the local cache only), a label, or the entry of the bundle's own code."""
    config: str = ""
    """Absolute path of the configuration file."""
    weights: str = ""
    """Absolute path of the safetensors file."""
    sha256: str = ""
    """Hash over configuration and weights, or over all that the bundle's own code can see; paths do not count."""
    code: Mapping[str, Any] = field(default_factory=dict)
    """Loader `python` only, plain JSON: where the bundle's code lies and how to drive its module."""


@dataclass(frozen=True, slots=True)
class DataRef:
    """Where prompts come from: one of our generators, or a data file of the bundle."""

    generator: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    file: str = ""
    """Absolute path of a JSONL or safetensors file; empty for a generator."""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """A plan step bound to a model and to data; `address` is where its evidence lives."""

    step: PlanStep
    model: ModelRef
    data: DataRef
    salt: str

    @property
    def address(self) -> str:
        """Hash of everything that can change the measured array (paths and task names cannot)."""
        body = {
            "format": WIRE_FORMAT,
            "step": _without_task(self.step),
            "model": [self.model.loader, self.model.name, self.model.sha256],
            "data": [self.data.generator, dict(self.data.parameters), self.data.sha256],
            "salt": self.salt,
        }
        return digest(body)


@lru_cache(maxsize=4096)
def _without_task(step: PlanStep) -> Mapping[str, Any]:
    """A step as it enters an address; kept, because runners ask for addresses again and again. Only read."""
    body = dataclasses.asdict(step)
    body["slice"].pop("task")
    return body


@dataclass(frozen=True, slots=True)
class Record:
    """What the harness writes for one job: one value per prompt and how it was obtained."""

    address: str
    values: tuple[float, ...]
    """One value per prompt; empty when `unavailable` says why nothing could be measured."""
    clusters: tuple[int, ...] = ()
    """Same length as `values`: prompts of one cluster are not independent."""
    exhaustive: bool = False
    """True when the prompts are the whole population, so there is no sampling error."""
    tolerance: float = 0.0
    """Largest numeric deviation seen between the fast and the naive path, metric's unit."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Other findings as plain JSON: partner heads, nodes of a document ..."""
    unavailable: str = ""
    """The bundle's model or data cannot be measured: why. Becomes NOT_TESTABLE."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Versions, device, threads, hash of the prompts, control results, seconds."""


def digest(body: Any) -> str:
    """Hex SHA-256 of a JSON-compatible value in canonical form.

    >>> digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1})
    True
    """
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def dump(document: Any) -> str:
    """JSON text of a wire dataclass; floats keep all their digits."""
    return json.dumps(dataclasses.asdict(document), separators=(",", ":"))


def load_job(body: Mapping[str, Any]) -> Job:
    """The `Job` written by `dump`, rebuilt from parsed JSON.

    Raises:
        KeyError, TypeError: the document was not written by this version.
    """
    return Job(
        step=load_step(body["step"]),
        model=ModelRef(**body["model"]),
        data=DataRef(**body["data"]),
        salt=body["salt"],
    )


def load_step(body: Mapping[str, Any]) -> PlanStep:
    """A plan step rebuilt from parsed JSON.

    Raises:
        KeyError, TypeError: the document was not written by this version.
    """
    return PlanStep(Slice(**body["slice"]), load_probe(body["probe"]))


def load_probe(body: Mapping[str, Any]) -> Probe:
    """A probe rebuilt from parsed JSON."""
    fields = dict(body)
    if fields["type"] == "run":
        edit = dict(fields["intervention"])
        edit["components"] = tuple(edit["components"])
        edit["receivers"] = tuple(edit["receivers"])
        fields["intervention"] = Intervention(**edit)
    if fields["type"] == "rerun":
        decoy, mutant = fields["decoy"], fields["mutant"]
        for name in ("keep", "poison_sites"):
            fields[name] = tuple(fields[name])
        fields["decoy"] = decoy and Decoy(decoy["file"], tuple(map(tuple, decoy["names"])))
        fields["mutant"] = mutant and Mutant(**mutant)
    return _PROBES[fields["type"]](**fields)


def load_record(body: Mapping[str, Any]) -> Record:
    """The `Record` written by `dump`, rebuilt from parsed JSON."""
    fields = dict(body)
    fields["values"] = tuple(fields["values"])
    fields["clusters"] = tuple(fields["clusters"])
    return Record(**fields)


def record_path(store: Path, address: str) -> Path:
    """Where a job's record lives in the evidence store."""
    return store / address[:2] / f"{address}.json"


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a whole file or nothing: a killed process leaves no half document behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content.encode() if isinstance(content, str) else content)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
