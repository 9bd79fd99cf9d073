"""Starts the audit as a process in which nothing of the bundle is configuration, and leaves it alone."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_mecheval.gate.canary import Canary, claims_file
from pytest_mecheval.gate.planning import Plan
from pytest_mecheval.run.child import PASSED_ON

LOG = "pytest.log"
PLUGIN = "pytest_mecheval.plugin"
XDIST = "xdist.plugin"
ALLURE = "allure_pytest.plugin"
INI = "[pytest]\n"
INSTALLER = ("PIP_", "UV_", "SSL_CERT_", "http_proxy", "https_proxy", "no_proxy")
"""Starts of the operator's own settings for installers, for bundles that declare requirements."""
_START = "import sys; sys.path.append({root!r}); import pytest; sys.exit(pytest.main(sys.argv[1:]))"


@dataclass(frozen=True)
class Options:
    """How the audit is run."""

    out: Path
    evidence: Path
    isolation: str = "auto"
    salt: str = ""
    workers: int = 0
    """xdist workers; 0 is none."""
    allure: Path | None = None
    script_seconds: int = 0
    """0 is the plugin's default."""


def run_audit(plan: Plan, canary: Canary, options: Options, place: Path) -> int:
    """Run pytest on bundle and canary.

    Args:
        plan: which bundle, which claims.
        canary: judged in the same run.
        options: where everything goes.
        place: an empty folder of ours; the run starts there.

    Returns:
        Its exit status, which says nothing by itself; what it printed is `LOG` in the output folder.
    """
    work = place / "work"
    work.mkdir()
    ini = place / "gate.ini"
    ini.write_text(INI, encoding="utf-8")
    with (options.out / LOG).open("wb") as log:
        return subprocess.run(  # noqa: S603 - this interpreter, a fixed list
            command(plan, canary, options, ini),
            cwd=work,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode


def command(plan: Plan, canary: Canary, options: Options, ini: Path) -> list[str]:
    """The command line; every path is absolute and ours, but the bundle's, which is only read."""
    root, out = str(Path(__file__).resolve().parents[2]), str(options.out)
    plugins = [PLUGIN]
    extra = []
    if options.workers:
        plugins.append(XDIST)
        extra += ["-n", str(options.workers)]
    if options.allure is not None:
        plugins.append(ALLURE)
        extra += ["--alluredir", str(options.allure), "--clean-alluredir"]
    if options.salt:
        extra.append(f"--mecheval-salt={options.salt}")
    if options.script_seconds:
        extra.append(f"--mecheval-script-seconds={options.script_seconds}")
    return [
        *(sys.executable, "-I", "-B", "-c", _START.format(root=root)),
        *("-c", str(ini), "--rootdir", out, "--confcutdir", out, "--noconftest"),
        *("-p", "no:cacheprovider", *(word for name in plugins for word in ("-p", name))),
        *("--color=no", "-q", "--mecheval-frozen", f"--mecheval-sandbox={options.isolation}"),
        *(f"--mecheval={plan.bundle}", f"--mecheval-claims={plan.claims_file}"),
        *(f"--mecheval={canary.bundle}", f"--mecheval-claims={claims_file(canary)}"),
        *(f"--mecheval-out={options.out}", f"--mecheval-evidence={options.evidence}"),
        *extra,
    ]


def environment(inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Variables of the audit: an allow-list without keys, tokens and whatever changes imports or pytest.

    >>> environment({"HOME": "/h", "PYTEST_ADDOPTS": "-x", "PYTHONPATH": ".", "A_TOKEN": "t"})["HOME"]
    '/h'
    """
    kept = {
        name: text
        for name, text in inherited.items()
        if name in PASSED_ON or name.startswith(INSTALLER)
    }
    return kept | {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONSAFEPATH": "1",  # xdist's workers are not started with -I
        "PYTHONDONTWRITEBYTECODE": "1",
        "CI": "true",
    }
