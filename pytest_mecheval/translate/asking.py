"""Builds the asks of a bundle: one about model and tasks, one per passage; all share one prefix, byte for byte."""

import dataclasses
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from pytest_mecheval.bundle.contents import Bundle
from pytest_mecheval.bundle.passages import Passage, passages
from pytest_mecheval.bundle.quoting import normalised
from pytest_mecheval.checks.registry import checks
from pytest_mecheval.tasks.registry import task_generators
from pytest_mecheval.translate.answer import answer_schema
from pytest_mecheval.translate.asks import Ask, AskRole
from pytest_mecheval.translate.hidden import without_unseen
from pytest_mecheval.translate.kind_guide import kinds_text, tasks_text, words_text
from pytest_mecheval.translate.material import Kept, Material, clean, cleaned, delimited, material
from pytest_mecheval.translate.prompting import filled, prompt_version

MAX_NAME = 40
"""Characters of a document's name within an ask's name."""
MAX_RETURNED_ANSWER = 8_000
"""Characters of an unusable answer that are shown to the model again."""
_UNFIT = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class Asker:
    """Everything the asks of one bundle have in common."""

    material: Material
    shared: str
    """Instructions, kinds and the bundle's delimited texts."""
    schema: Mapping[str, Any]
    boundary: str

    @property
    def kept_back(self) -> tuple[Kept, ...]:
        """What is in the bundle but not in any ask, for the reader: hidden, redacted, cut."""
        return (*self.material.hidden, *self.material.redactions, *self.material.cut)


@dataclass(frozen=True)
class PassageAsks:
    """The asks about passages, and the passages about which nothing is asked."""

    asks: tuple[Ask, ...]
    """In the order of the passages."""
    unseen: tuple[Passage, ...]
    """Readers of the rendered document do not see these, so they are no statements of the bundle."""


def asker(bundle: Bundle) -> Asker:
    """Reads and cleans the bundle's texts once; deterministic."""
    found = material(bundle)
    boundary = found.boundary
    shared = filled(
        "shared",
        boundary=boundary,
        words=words_text(),
        kinds=kinds_text(),
        bundle=found.block(),
    )
    return Asker(found, shared, answer_schema(checks()), boundary)


def subject_ask(common: Asker) -> Ask:
    """The question about model and tasks; the manifest's own statements are shown with it."""
    manifest = common.material.bundle.manifest
    stated = "nothing"
    if manifest is not None:
        body = manifest.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        text = clean(json.dumps(body, indent=1, sort_keys=True))
        stated = delimited(common.boundary, "mecheval.yaml", text)
    question = filled("subject", stated=stated, generators=tasks_text())
    return _ask(common, "subject", "subject", question)


def passage_asks(
    common: Asker, chosen: Iterable[tuple[Passage, AskRole]], subject: Mapping[str, Any]
) -> PassageAsks:
    """One ask per passage.

    Args:
        common: of this bundle.
        chosen: passages that can carry a finding or a plan step, and which of the two.
        subject: model and tasks as known by now, as a claim file writes them; may be empty.
    """
    seen = {
        document.path: _seen(common.material.bundle, document.path)
        for document in common.material.bundle.texts()
    }
    headings = dict(_headings(passages(common.material.bundle)))
    told = json.dumps(_with_places(subject), indent=1, sort_keys=True)
    asks: list[Ask] = []
    unseen: list[Passage] = []
    names: dict[str, int] = {}
    for passage, role in chosen:
        if normalised(without_unseen(passage.text)) not in seen.get(passage.file, ""):
            unseen.append(passage)
            continue
        place = clean(f"{json.dumps(passage.file)}, line {passage.line} ({passage.role})")
        heading = headings.get(passage.number, "")
        question = filled(
            role,
            place=place,
            heading=f", under the heading {json.dumps(clean(heading))}" if heading else "",
            passage=delimited(common.boundary, "passage", clean(passage.text)),
            subject=told,
        )
        name = _name(passage, names)
        asks.append(_ask(common, name, role, question, passage))
    return PassageAsks(tuple(asks), tuple(unseen))


def again(ask: Ask, answer: Mapping[str, Any], problems: Sequence[str]) -> Ask:
    """The same question once more, with the unusable answer and what is wrong with it.

    Args:
        ask: the ask that was answered.
        answer: the body of the reply; shown to the model as it is.
        problems: one line each.
    """
    shown = json.dumps(dict(answer), indent=1, sort_keys=True)[:MAX_RETURNED_ANSWER]
    listed = "\n".join(f"- {clean(problem)}" for problem in problems)
    return dataclasses.replace(
        ask,
        name=f"{ask.name}-again",
        question=ask.question + filled("again", answer=clean(shown), problems=listed),
    )


def _ask(
    common: Asker, name: str, role: AskRole, question: str, passage: Passage | None = None
) -> Ask:
    return Ask(
        name=name,
        role=role,
        shared=common.shared,
        question=question,
        schema=common.schema,
        prompt_version=prompt_version(),
        file=passage.file if passage else "",
        line=passage.line if passage else 0,
        text=passage.text if passage else "",
    )


def _seen(bundle: Bundle, path: str) -> str:
    """A document as its readers see it, white space normalised."""
    document = bundle.find(path)
    if document is None:
        return ""
    notebook = next((n for n in bundle.notebooks if n.path == path), None)
    return normalised(cleaned(document, notebook, redact=False)[0])


def _headings(found: Sequence[Passage]) -> Iterator[tuple[int, str]]:
    """The heading above each passage, by the passage's number."""
    above, file = "", ""
    for passage in found:
        if passage.file != file:
            above, file = "", passage.file
        if passage.kind == "heading":
            above = passage.text
        yield passage.number, above


def _with_places(subject: Mapping[str, Any]) -> dict[str, Any]:
    """The subject with each task's positions and strata, which specs may name."""
    told = dict(subject)
    tasks = told.get("tasks")
    generators = task_generators()
    if isinstance(tasks, Mapping):
        told["tasks"] = {
            name: {
                "source": task,
                "positions": ["all", *generator.positions],
                "strata": list(generator.strata),
            }
            if isinstance(task, Mapping)
            and (generator := generators.get(str(task.get("generator")))) is not None
            else {"source": task, "positions": ["all"], "strata": ["fresh"]}
            for name, task in tasks.items()
        }
    return told


def _name(passage: Passage, taken: dict[str, int]) -> str:
    """`documentation-41`, unique among those taken: `documentation-41-2` for a second one."""
    stem = PurePosixPath(passage.file).stem.lower()
    base = f"{_UNFIT.sub('-', stem).strip('-')[:MAX_NAME] or 'text'}-{passage.line}"
    taken[base] = taken.get(base, 0) + 1
    name = base if taken[base] == 1 else f"{base}-{taken[base]}"
    if name != base:
        taken.setdefault(name, 1)
    return name
