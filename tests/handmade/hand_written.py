"""Claim files written by hand: the truth that candidates, guards and providers are measured against."""

from pathlib import Path

from pytest_mecheval.bundle.contents import Bundle
from pytest_mecheval.bundle.discovery import discover
from pytest_mecheval.claims.location import SUFFIX
from pytest_mecheval.claims.model import ClaimFile
from pytest_mecheval.claims.reading import read_claims

ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob(f"examples/*{SUFFIX}"), *ROOT.glob(f"fixtures/*{SUFFIX}")])


def loaded(path: Path) -> tuple[Bundle, ClaimFile]:
    bundle = discover(path.with_name(path.name.removesuffix(SUFFIX)))
    return bundle, read_claims(path, bundle)
