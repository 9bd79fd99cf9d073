"""What a session costs beside measuring: collecting 100 claims, and a warm run in which nothing is measured.

    python benchmarks/session.py

Each is paired with plain pytest doing the same number of empty tests, in turn, in one run; medians are
printed. Aims: 100 claims collected in under 1 s, a warm re-run in under 2 s (with `-n 0`), of the example and
of a bundle that is judged by its own script's run alone; for that one the first run is printed too.
"""

import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "induction_heads"
RERUN = ROOT / "fixtures" / "ablation_run"
PAIRS = 5
CLAIMS = 100
NOT_ALLURE = ("-p", "no:allure_pytest")


def seconds(arguments: Sequence[str], folder: Path) -> float:
    """Wall time of one pytest process."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    begin = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode not in (0, 1):
        raise SystemExit(
            f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-2000:]}"
        )
    return time.perf_counter() - begin


def many_claims(folder: Path) -> Path:
    """A claim file with the example's first attention claim a hundred times."""
    text = EXAMPLE.with_suffix(".claims.yaml").read_text()
    head, _, rest = text.partition("\nclaims:\n")
    entries = re.split(r"(?=^- id: )", rest.partition("\nplan:\n")[0], flags=re.MULTILINE)
    attention = next(entry for entry in entries if "kind: attention" in entry)
    copies = [
        re.sub(r"^- id: .*", f"- id: copy-{index}", attention, flags=re.MULTILINE)
        for index in range(CLAIMS)
    ]
    path = folder / "many.claims.yaml"
    path.write_text(f"{head}\nclaims:\n{''.join(copies)}")
    return path


def statements(bundle: Path) -> int:
    """Test cases of a bundle: every claim, plan step and untestable sentence is one."""
    return bundle.with_suffix(".claims.yaml").read_text().count("- id: ")


def plain_tests(folder: Path, count: int) -> Path:
    """As many empty tests."""
    path = folder / f"test_plain_{count}.py"
    path.write_text("\n\n".join(f"def test_{index}():\n    pass" for index in range(count)) + "\n")
    return path


def compare(title: str, ours: Sequence[str], plain: Sequence[str], folder: Path) -> None:
    """Print both medians and the median of the paired differences and ratios."""
    pairs = [(seconds(ours, folder), seconds(plain, folder)) for _ in range(PAIRS)]
    a, b = (statistics.median(column) for column in zip(*pairs, strict=True))
    extra = statistics.median(x - y for x, y in pairs)
    ratio = statistics.median(x / y for x, y in pairs)
    print(f"{title:<42} {a:6.2f} s   plain pytest {b:6.2f} s   +{extra:5.2f} s   {ratio:5.2f}x")


def main() -> None:
    """Both comparisons."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = f"--mecheval-evidence={folder / 'evidence'}"
        claims = many_claims(folder)
        many = [f"--mecheval={EXAMPLE}", f"--mecheval-claims={claims}", store, "--collect-only"]
        plain = [str(plain_tests(folder, CLAIMS)), "--collect-only"]
        compare(f"collect {CLAIMS} claims", [*many, *NOT_ALLURE], [*plain, *NOT_ALLURE], folder)
        warm = [f"--mecheval={EXAMPLE}", store]
        seconds(warm, folder)  # measures once
        few = [str(plain_tests(folder, statements(EXAMPLE)))]
        compare(
            "warm run of the example, no Allure", [*warm, *NOT_ALLURE], [*few, *NOT_ALLURE], folder
        )
        compare(
            "warm run of the example, with Allure",
            warm,
            [*few, f"--alluredir={folder / 'a'}"],
            folder,
        )
        rerun = [f"--mecheval={RERUN}", store, "-n", "0"]
        first = seconds(rerun, folder)
        few = [str(plain_tests(folder, statements(RERUN))), "-n", "0"]
        compare(
            "warm run of a rerun, no Allure", [*rerun, *NOT_ALLURE], [*few, *NOT_ALLURE], folder
        )
        again = statistics.median(seconds(rerun, folder) for _ in range(PAIRS))
        print(
            f"{'first run of a rerun over a warm one':<42} {first:6.2f} s / {again:.2f} s = {first / again:.1f}x"
        )


if __name__ == "__main__":
    main()
