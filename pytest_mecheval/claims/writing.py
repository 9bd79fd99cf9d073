"""Writes a claim file: canonical YAML, the same bytes for the same claims, read back to the same claims."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from pytest_mecheval.bundle.escaping import escaped, has_invisible
from pytest_mecheval.bundle.subject import TaskSection
from pytest_mecheval.claims.model import Claim, ClaimFile, Entry, NotTestable
from pytest_mecheval.claims.source import MAX_CLAIM_FILE_BYTES
from pytest_mecheval.errors import ClaimFileError
from pytest_mecheval.wire import digest, write_atomically

WIDTH = 100
"""Columns; a spec that fits stands on one line."""
STAMP = "# as translated:"
"""Begins the lines that hold the digests of the entries a translation wrote."""
DIGEST_LENGTH = 10
_PER_LINE = 7
_STAMP_LINE = re.compile(
    rf"^{re.escape(STAMP)}((?: [0-9a-f]{{{DIGEST_LENGTH}}})+)\s*$", re.MULTILINE
)
_LISTS = ("claims", "plan", "not_testable")


def claim_file_text(
    claims: ClaimFile, header: Iterable[str] = (), translated: Iterable[str] = ()
) -> str:
    """The claim file as canonical YAML.

    Args:
        claims: what to write; defaults are left out.
        header: lines of the comment at the top, without `#`.
        translated: digests (`entry_digest`) of the entries that a translation wrote; entries whose
            digest is not among them count as edited by a person when the file is translated again.
    """
    parts = [f"# {escaped(line, 400)}\n" for line in header]
    parts.append(f"format: {claims.format}\nbundle: {_inline(claims.bundle)}\n")
    parts.append(_mapping("documents", claims.documents))
    parts.append(_subject(claims))
    for key in _LISTS:
        entries: tuple[Entry, ...] = getattr(claims, key)
        if entries:
            parts.append(f"\n{key}:\n" + "".join(map(_entry, entries)))
    digests = sorted(set(translated))
    lines = [digests[i : i + _PER_LINE] for i in range(0, len(digests), _PER_LINE)]
    parts += ["\n" if lines else "", *(f"{STAMP} {' '.join(line)}\n" for line in lines)]
    return "".join(parts)


def write_claim_file(
    path: Path, claims: ClaimFile, header: Iterable[str] = (), translated: Iterable[str] = ()
) -> None:
    """Write it whole or not at all.

    Raises:
        ClaimFileError: it would be larger than a claim file may be.
    """
    text = claim_file_text(claims, header, translated)
    if len(text.encode()) > MAX_CLAIM_FILE_BYTES:
        raise ClaimFileError(
            [f"{escaped(path.name)}: would be larger than {MAX_CLAIM_FILE_BYTES} bytes"]
        )
    write_atomically(path, text)


def entry_digest(entry: Entry) -> str:
    """Identifies what an entry says, `edited` aside."""
    content = {**_plain(entry), "is": type(entry).__name__}
    content.pop("edited", None)
    return digest(content)[:DIGEST_LENGTH]


def stamped_digests(text: str) -> frozenset[str]:
    """Digests of the entries that a translation wrote into this file; empty for a hand-written one."""
    return frozenset(digest for match in _STAMP_LINE.finditer(text) for digest in match[1].split())


def _plain(entry: Entry) -> dict[str, Any]:
    """Fields in the order of the model, defaults left out."""
    return dict(entry.model_dump(mode="json", exclude_defaults=True))


def _entry(entry: Entry) -> str:
    fields = _plain(entry)
    quote = fields.pop("quote")
    lines = [f"- id: {_inline(fields.pop('id'))}"]
    if isinstance(entry, Claim):
        lines.append(f"  kind: {_inline(fields.pop('kind'))}")
    lines.append(f"  quote: {_inline(quote)}")
    if isinstance(entry, Claim):
        fields = {"spec": dict(entry.spec), **fields}
    if isinstance(entry, NotTestable):
        lines.append(f"  reason: {_inline(fields.pop('reason'))}")
    lines += [f"  {key}: {_inline(value)}" for key, value in fields.items()]
    return "\n".join(lines) + "\n"


def _mapping(key: str, values: Mapping[str, Any]) -> str:
    if not values:
        return f"{key}: {{}}\n"
    return f"{key}:\n" + "".join(f"  {_inline(k)}: {_inline(v)}\n" for k, v in values.items())


def _subject(claims: ClaimFile) -> str:
    subject = claims.subject
    if subject.model is None and not subject.tasks:
        return ""
    text = "subject:\n"
    if subject.model is not None:
        model = subject.model.model_dump(mode="json", exclude_defaults=True)
        text += f"  model: {_inline(model)}\n"
    if subject.tasks:
        text += "  tasks:\n"
        text += "".join(
            f"    {_inline(name)}: {_inline(_task(task))}\n" for name, task in subject.tasks.items()
        )
    return text


def _task(task: TaskSection) -> dict[str, Any]:
    """As a person writes it: a generator's parameters stand beside its name, where they can."""
    section = dict(task.model_dump(mode="json", exclude_defaults=True))
    parameters = section.get("parameters", {})
    if set(parameters) & set(TaskSection.model_fields):
        return section
    section.pop("parameters", None)
    return {**section, **parameters}


class _Dumper(yaml.SafeDumper):
    """Text is quoted whenever another reader of YAML might take it for something else."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class calls it so
        """Our own reader refuses anchors."""
        return True


_PLAIN_TEXT = re.compile(r"[A-Za-z_][A-Za-z0-9_./:-]*(?<!:)")
_WORDS_THAT_ARE_VALUES = frozenset(
    {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none", "nan", "inf"}
)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = _PLAIN_TEXT.fullmatch(text) and text.lower() not in _WORDS_THAT_ARE_VALUES
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


def _float(dumper: yaml.SafeDumper, value: float) -> yaml.ScalarNode:
    shown = repr(value)
    if "e" in shown and "." not in shown:
        shown = shown.replace("e", ".0e")  # YAML 1.1 readers want the point
    return dumper.represent_scalar("tag:yaml.org,2002:float", shown)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(float, _float)


def _inline(value: Any) -> str:
    """The value on one line, in braces and brackets where it is a mapping or list."""
    dumped = yaml.dump(
        value,
        Dumper=_Dumper,
        default_flow_style=True,
        sort_keys=False,
        width=float("inf"),
        allow_unicode=not _hides(value),
    )
    return str(dumped).removesuffix("\n...\n").removesuffix("\n")


def _hides(value: Any) -> bool:
    """Whether some text in it could be shown as something else; then all of it is written in ASCII."""
    if isinstance(value, str):
        return has_invisible(value)
    if isinstance(value, Mapping):
        return any(_hides(key) or _hides(each) for key, each in value.items())
    return isinstance(value, list | tuple) and any(map(_hides, value))
