"""What a bundle of a thousand claims costs after its last measurement: deciding, and each artefact.

    python benchmarks/report.py [CLAIMS]

The claims are the worked examples of all kinds in turn, with 256 values per measurement and their records
in a store, so nothing is measured here. Aim: everything the controller does at the end in under 10 s.
"""

import dataclasses
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pytest_mecheval.checks.registry import checks
from pytest_mecheval.claims.model import Claim, Quote
from pytest_mecheval.report.artefacts import ARTEFACTS
from pytest_mecheval.report.decisions import decision_document, json_text
from pytest_mecheval.report.outcome import BundleReport, Outcome, outcome
from pytest_mecheval.report.reading import read_document, read_report
from pytest_mecheval.report.redeciding import Redecider
from pytest_mecheval.report.terminal import write_summary
from pytest_mecheval.vocabulary import Tier
from pytest_mecheval.wire import digest, write_atomically

CLAIMS = 1000
AIM_SECONDS = 10.0


def decided(number: int) -> Outcome:
    """The decision about one generated claim, as its worker would have come to it."""
    kinds = list(checks().values())
    check = kinds[number % len(kinds)]
    example = check.examples[number // len(kinds) % len(check.examples)]
    evidence = dataclasses.replace(
        example.evidence,
        measurements={
            step: dataclasses.replace(
                each, address=digest([number % 50, repr(step)]), content=digest(repr(step))
            )
            for step, each in example.evidence.measurements.items()
        },
    )
    decision = check.decide(example.spec, example.subject, evidence)
    claim = Claim.model_construct(
        id=f"claim-{number:05}",
        kind=check.kind,
        quote=Quote.model_construct(
            file="logs/documentation.md",
            line=number + 1,
            text=f"Sentence {number}: " + "word " * 20,
        ),
        spec=example.spec.model_dump(mode="json", exclude_unset=True),
    )
    decision = dataclasses.replace(decision, tier=Tier.T3)
    return outcome(claim, check, decision, subject=example.subject, evidence=evidence)


def timed(title: str, work: Callable[[], object]) -> float:
    """Seconds of one piece of work, printed."""
    begin = time.perf_counter()
    work()
    seconds = time.perf_counter() - begin
    print(f"{title:<44} {seconds:7.2f} s")
    return seconds


def main() -> None:
    """Print the share of every artefact."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else CLAIMS
    outcomes: list[Outcome] = []
    timed(
        f"decide {count} claims (in the workers)",
        lambda: outcomes.extend(map(decided, range(count))),
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def write_each() -> None:
            for each in outcomes:
                path = folder / "decisions" / f"{each.claim}.json"
                write_atomically(path, json_text(decision_document(each)))

        timed("write one document per claim (in the workers)", write_each)
        read: list[Outcome] = []

        def read_each() -> None:
            import json

            read.extend(
                read_document(json.loads(path.read_text()))
                for path in sorted((folder / "decisions").iterdir())
            )

        total = timed("read them", read_each)
        report = BundleReport("bench", "ab" * 32, "b.claims.yaml", "cd" * 32, "salt", tuple(read))
        for artefact, content in ARTEFACTS.items():
            total += timed(
                f"write {artefact}",
                lambda artefact=artefact, content=content: write_atomically(
                    folder / artefact, content(report)
                ),
            )
        total += timed(
            "write the terminal's table", lambda: write_summary(report, lambda _line: None)
        )
        sizes = {artefact: (folder / artefact).stat().st_size for artefact in ARTEFACTS}
        print(f"after the last decision {total:.2f} s (aim: under {AIM_SECONDS:g} s)")
        print(", ".join(f"{artefact} {size / 1e6:.2f} MB" for artefact, size in sizes.items()))
        back: list[BundleReport] = []
        timed(
            "read decisions.json back, checked",
            lambda: back.append(read_report(folder / "decisions.json")),
        )
        again = Redecider(back[0], folder / "none")
        timed("look for its evidence (there is none)", lambda: list(again.claims()))


if __name__ == "__main__":
    main()
