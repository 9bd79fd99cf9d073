"""Questions as files in a folder, answers read from beside them: any person or agent can answer, without a key.

Every question file is complete in itself. File names carry the question's key, so an answer to an older
question is never taken for an answer to a newer one. Doing it twice changes nothing; answers may come in parts.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from pytest_mecheval.bundle.reading import MissingFile, decoded, list_files, read_file, real_root
from pytest_mecheval.errors import BundleError
from pytest_mecheval.translate.asks import Ask, Reply, Status
from pytest_mecheval.translate.strict_json import NotJson, json_object
from pytest_mecheval.wire import write_atomically

QUESTION_SUFFIX = ".question.md"
ANSWER_SUFFIX = ".answer.json"
GUIDE = "READ-ME-FIRST.md"
KEY_DIGITS = 10
"""Digits of the key in a file name; enough to tell questions apart, short enough to read."""
MAX_BYTES = 1_000_000


class Exchange:
    """Writes the questions, reads the answers that are there."""

    name = "exchange"

    def __init__(self, folder: Path) -> None:
        """Nothing is written yet."""
        self.folder = folder
        self._replies: dict[str, Reply] = {}
        """All rounds of this translation, by the name of the answer's file: their answers are all needed."""

    def replies(self, asks: Sequence[Ask]) -> Iterator[Reply]:
        """One reply per ask, in their order; MISSING and UNREADABLE name the file that would answer it.

        Raises:
            OSError: the folder cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        replies = []
        for ask in asks:
            _write(self.folder / question_file(ask), question_text(ask))
            replies.append(self._reply(ask))
        self._replies |= {answer_file(reply.ask): reply for reply in replies}
        asked = list(self._replies.values())
        strangers = self.strangers([reply.ask for reply in asked])
        _write(self.folder / GUIDE, guide(asked, strangers))
        yield from replies

    def strangers(self, asks: Sequence[Ask]) -> tuple[str, ...]:
        """Names of answers in the folder that belong to none of these asks, such as older ones."""
        if not self.folder.is_dir():
            return ()
        known = {answer_file(ask) for ask in asks}
        listing = list_files(real_root(self.folder), lambda _parts, is_folder: is_folder)
        return tuple(
            name for name in listing.files if name.endswith(ANSWER_SUFFIX) and name not in known
        )

    def _reply(self, ask: Ask) -> Reply:
        name = answer_file(ask)
        place = self.folder / name
        try:
            content = read_file(real_root(self.folder), name, MAX_BYTES)
            text, replaced = decoded(content)
            if replaced:
                return Reply(ask, Status.UNREADABLE, detail=f"{place}: not UTF-8 text")
            return Reply(ask, Status.ANSWERED, json_object(text))
        except MissingFile:
            return Reply(ask, Status.MISSING, detail=f"no answer yet: {place}")
        except NotJson as error:
            return Reply(ask, Status.UNREADABLE, detail=f"{place}: {error}")
        except BundleError as error:
            return Reply(ask, Status.UNREADABLE, detail=str(error))


def question_file(ask: Ask) -> str:
    """`documentation-41.3f9a12cd04.question.md`."""
    return f"{ask.name}.{ask.key[:KEY_DIGITS]}{QUESTION_SUFFIX}"


def answer_file(ask: Ask) -> str:
    """`documentation-41.3f9a12cd04.answer.json`."""
    return f"{ask.name}.{ask.key[:KEY_DIGITS]}{ANSWER_SUFFIX}"


def question_text(ask: Ask) -> str:
    """One ask as Markdown: where the answer goes, the question, the schema, then what all questions share."""
    schema = json.dumps(dict(ask.schema), indent=1)
    return (
        f"Write the answer to `{answer_file(ask)}` in this folder: one JSON object that fits the schema "
        "below, nothing else. First read the instructions, which begin after the schema; they and the "
        "bundle's texts are the same in all question files of this folder.\n\n"
        f"{ask.question.rstrip()}\n\n"
        f"# The schema of the answer\n\n```json\n{schema}\n```\n\n"
        f"{ask.shared.rstrip()}\n"
    )


def guide(replies: Sequence[Reply], strangers: Sequence[str]) -> str:
    """What to do, and what is still to be done."""
    open_replies = [reply for reply in replies if reply.status is not Status.ANSWERED]
    lines = [
        "# Questions about a research bundle",
        "",
        f"{len(replies) - len(open_replies)} of {len(replies)} questions are answered. For each file listed "
        f"below read the question file of the same name (`{QUESTION_SUFFIX}`), write the answer file beside it, "
        "then give the same `mecheval translate` command again. Answers already there are kept.",
        "",
        "Each question file is complete in itself. Instructions and the bundle's texts, its long second "
        "part, are the same in all of them.",
        "",
        *(
            f"- [ ] `{answer_file(reply.ask)}`"
            + (f" (there, but: {reply.detail})" if reply.status is Status.UNREADABLE else "")
            for reply in open_replies
        ),
    ]
    if strangers:
        lines += [
            "",
            "Answers that nothing reads: their questions changed with the bundle, with what was answered about "
            "its model and tasks, or with an answer that did not fit:",
            "",
        ]
        lines += [f"- `{name}`" for name in strangers]
    return "\n".join(lines).rstrip() + "\n"


def _write(path: Path, text: str) -> None:
    """Only when it changes something, so that a second run leaves no trace."""
    if not (path.is_file() and path.read_text(encoding="utf-8") == text):
        write_atomically(path, text)
