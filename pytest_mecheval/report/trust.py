"""Why the numbers may be believed, as named lines: isolation in force, what it lacks, who measured, what exactly was read."""

from collections.abc import Iterator, Mapping
from typing import Any

from pytest_mecheval.report.decisions import tier_counts
from pytest_mecheval.report.outcome import BundleReport
from pytest_mecheval.report.plain import plain_line
from pytest_mecheval.vocabulary import Tier

TIER_WORDS: Mapping[Tier, str] = {
    Tier.T3: "measured again by us on our own prompts",
    Tier.T2: "measured by us on the bundle's data or module",
    Tier.T1: "only what the bundle's own code gave",
    Tier.T0: "only what files say",
}
NOT_CONFINED = "NONE: the bundle's code could read and change everything on this machine"
_LONGEST = 600
_LIMIT_UNITS = {
    "cpu_s": "s of CPU",
    "wall_s": "s",
    "memory_mib": "MiB of memory",
    "processes": "processes",
}


def trust_facts(report: BundleReport) -> dict[str, str]:
    """Name to one inert line, isolation first: what the report, the terminal and Allure all show."""
    facts: dict[str, str] = dict(_isolation(report))
    facts["evidence"] = evidence_text(report)
    facts["bundle"] = f"{plain_line(report.bundle)} sha256 {plain_line(report.bundle_hash)}"
    facts["claims"] = f"{plain_line(report.claims_file)} sha256 {plain_line(report.claims_hash)}"
    facts["salt"] = plain_line(report.salt)
    return facts


def confined(report: BundleReport) -> bool:
    """Whether everything of the bundle that ran was isolated."""
    return all(each.get("confined", True) for each in report.isolation)


def _isolation(report: BundleReport) -> Iterator[tuple[str, str]]:
    used = report.isolation
    if not used:
        yield "isolation", "not needed: none of the bundle's own code ran"
        return
    yield "isolation", "; ".join(map(_backend, used))
    kept = {name for each in used for name in each.get("guarantees", ())}
    gaps = {name: why for each in used for name, why in dict(each.get("gaps", {})).items()}
    kept -= set(gaps)
    yield "enforced", f"{len(kept)} of {len(kept) + len(gaps)} guarantees of the sandbox contract"
    said = "; ".join(f"{plain_line(name)} ({plain_line(str(why))})" for name, why in gaps.items())
    yield "not enforced", plain_line(said, _LONGEST) or "nothing is missing"
    for name, of_one in (("self-test", _self_test), ("granted", _granted)):
        yield name, plain_line("; ".join(dict.fromkeys(map(of_one, used))), _LONGEST)
    beyond = dict.fromkeys(str(each) for one in used for each in one.get("never_covered", ()))
    yield "never covered", plain_line("; ".join(beyond), _LONGEST) or "not said"


def _backend(isolation: Mapping[str, Any]) -> str:
    if not isolation.get("confined", True):
        return NOT_CONFINED
    details = ", ".join(plain_line(str(each)) for each in isolation.get("details", ()))
    name = plain_line(str(isolation.get("backend", "unknown")))
    return f"{name} ({details})" if details else name


def _self_test(isolation: Mapping[str, Any]) -> str:
    return str(isolation.get("self_test", "not said"))


def _granted(isolation: Mapping[str, Any]) -> str:
    """`network none, gpu off, uid 0, 600 s of CPU, 900 s, 4096 MiB of memory, 256 processes`."""
    said = [f"{name} {isolation[name]}" for name in ("network", "gpu") if name in isolation]
    said += [str(isolation["user"])] if "user" in isolation else []
    limits = isolation.get("limits", {})
    said += [f"{limits[key]:g} {unit}" for key, unit in _LIMIT_UNITS.items() if key in limits]
    return ", ".join(said) or "not said"


def evidence_text(report: BundleReport) -> str:
    """How many tested claims rest on whom.

    Tiers say who measured; testimony alone never supports a claim about the model.
    """
    counts = tier_counts(report.outcomes)
    said = [f"{count} {TIER_WORDS[tier]} ({tier})" for tier, count in counts.items() if count]
    return "; ".join(said) or "nothing was measured"
