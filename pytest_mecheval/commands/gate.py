"""`mecheval gate`: audit a bundle that nobody trusts, and say whether it may be merged."""

import argparse
import os
import sys
from pathlib import Path

from pytest_mecheval.commands.given import count, path, seconds
from pytest_mecheval.errors import UsageError

HELP = "audit an untrusted bundle in an isolated run; exit 0 only if plan and policy are met"
FAILED_STATUS = 1
OUT = "mecheval-gate"
MARK = "gate.json"
"""Written into every output folder, so that only our own is ever emptied."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this command."""
    parser.add_argument("bundle", type=path, metavar="BUNDLE")
    parser.add_argument(
        "--claims", type=path, metavar="FILE", help="default: BUNDLE.claims.yaml beside the bundle"
    )
    parser.add_argument(
        "--policy",
        type=path,
        metavar="FILE",
        help="default: mecheval.toml in the current directory when there is one; never from the bundle",
    )
    parser.add_argument(
        "--out", type=path, metavar="DIR", help=f"for reports, emptied first (default: {OUT})"
    )
    parser.add_argument(
        "--evidence",
        type=path,
        metavar="DIR",
        help="reuse measurements kept there (default: measure everything anew)",
    )
    parser.add_argument("--salt", default="", metavar="TEXT", help="draw other prompts")
    parser.add_argument("-n", "--workers", type=count, default=0, metavar="N", help="xdist workers")
    parser.add_argument("--allure", type=path, metavar="DIR", help="also write Allure results")
    parser.add_argument(
        "--script-seconds",
        type=seconds,
        default=0,
        metavar="N",
        help="longest run of a bundle's script",
    )


def run(options: argparse.Namespace) -> tuple[str, int]:
    """One screen of text and the exit status.

    Raises:
        UsageError: paths or policy cannot be used, or this process is not isolated.
    """
    from pytest_mecheval.claims.location import claim_file_for
    from pytest_mecheval.gate.gating import VERDICT_FILE, gate
    from pytest_mecheval.gate.judging import refuse_toothless
    from pytest_mecheval.gate.policy import find_policy, read_policy
    from pytest_mecheval.gate.running import Options
    from pytest_mecheval.gate.telling import document, text
    from pytest_mecheval.report.decisions import json_text
    from pytest_mecheval.wire import write_atomically

    if not sys.flags.isolated:
        raise UsageError("start it as `mecheval gate`, which isolates this process first")
    start = Path.cwd()
    bundle = (start / options.bundle).resolve()
    policy_file = find_policy(options.policy, start, bundle)
    policy = read_policy(policy_file)
    refuse_toothless(policy, str(policy_file or "policy"))
    claims = _outside(start / (options.claims or claim_file_for(bundle)), bundle, "--claims")
    out = _output_folder(start, options.out, bundle)
    evidence = out / "evidence"
    if options.evidence is not None:
        evidence = _folder(start / options.evidence, bundle, "--evidence")
    allure = options.allure and _folder(start / options.allure, bundle, "--allure")
    judgement = gate(
        bundle,
        claims,
        policy,
        Options(
            out=out,
            evidence=evidence,
            isolation="bubblewrap" if policy.isolation == "bubblewrap" else "auto",
            salt=options.salt,
            workers=options.workers,
            allure=allure,
            script_seconds=options.script_seconds,
        ),
    )
    write_atomically(out / VERDICT_FILE, json_text(document(judgement, policy_file)))
    return text(judgement, policy_file), 0 if judgement.passed else FAILED_STATUS


def _outside(path: Path, bundle: Path, option: str) -> Path:
    """The path, absolute.

    Raises:
        UsageError: it lies inside the bundle, whose author could have prepared it.
    """
    # Both: the place as it is written, in case a link there leads outside, and the place it leads to.
    written = Path(os.path.normpath(path.absolute()))
    if written.is_relative_to(bundle) or path.resolve().is_relative_to(bundle):
        raise UsageError(
            f"{path}: lies inside the bundle, so its author could have prepared it; "
            f"name a place outside with {option}"
        )
    return path.resolve()


def _folder(path: Path, bundle: Path, option: str) -> Path:
    """A folder outside of the bundle that can be written, absolute; it need not exist.

    Raises:
        UsageError: it lies inside the bundle, is a file, or cannot be written.
    """
    from pytest_mecheval.cases.guard import why_not_writable

    folder = _outside(path, bundle, option)
    if why := why_not_writable(folder):
        raise UsageError(f"{folder}: {why}; name another one with {option}")
    return folder


def _output_folder(start: Path, given: Path | None, bundle: Path) -> Path:
    """An empty folder for reports.

    Raises:
        UsageError: it lies inside the bundle, or holds something that is not ours.
    """
    import shutil

    out = _folder(start / (given or OUT), bundle, "--out")
    if out.exists():
        if any(out.iterdir()) and not (out / MARK).is_file():
            raise UsageError(f"{out}: exists and was not written by the gate; choose another --out")
        shutil.rmtree(out)
    out.mkdir(parents=True)
    (out / MARK).write_text('{"passed": false, "reasons": [{"code": "unfinished"}]}\n')
    return out
