"""Pytest options and hooks, nothing else; everything heavy is imported only when `--mecheval` is given.

PYTEST_DONT_REWRITE: nothing here asserts, so pytest need not rewrite this module in every run.
"""

import argparse
import contextlib
import dataclasses
import functools
import os
import sys
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_mecheval.cases.audit import Audit
    from pytest_mecheval.cases.session import Session
    from pytest_mecheval.cases.settings import Settings

SESSION_PLUGIN = "mecheval-session"
DEFAULT_SALT = "mecheval"
WORKER_KEY = "mecheval_session"
"""Where the controller leaves the session id for xdist workers."""
WORKER_OPTIONS = "mecheval_options"
"""And where bundles and claim files, which the controller may only just have written."""
WORKER_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
"""Worker processes only wait and decide; spinning threads would slow the measuring child down."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """All options; their defaults make the plugin do nothing."""
    group = parser.getgroup("mecheval", "audit the findings of an interpretability bundle")
    option = group.addoption
    option(
        "--mecheval",
        action="append",
        default=[],
        metavar="BUNDLE",
        help="folder whose stated findings become test cases; may be repeated; write --mecheval=BUNDLE",
    )
    option(
        "--mecheval-claims",
        action="append",
        default=[],
        metavar="FILE",
        help="claim file instead of BUNDLE.claims.yaml; once per --mecheval, in the same order",
    )
    option(
        "--mecheval-out",
        default="mecheval-out",
        metavar="DIR",
        help="where test modules and reports go (default: mecheval-out)",
    )
    option(
        "--mecheval-evidence",
        default=".mecheval/evidence",
        metavar="DIR",
        help="where measurements are kept for the next run (default: .mecheval/evidence)",
    )
    option(
        "--mecheval-salt",
        default=DEFAULT_SALT,
        metavar="TEXT",
        help=f"draw other prompts than the default salt does (default: {DEFAULT_SALT})",
    )
    option(
        "--mecheval-sandbox",
        choices=("auto", "bubblewrap", "landlock", "none"),
        default="auto",
        help="isolation for the bundle's own scripts; `none` protects nothing and is accepted on the "
        "command line only (default: auto)",
    )
    option(
        "--mecheval-gpu",
        action="store_true",
        help="let the bundle's own scripts at this machine's GPU; no sandbox protects the GPU's driver",
    )
    option(
        "--mecheval-script-seconds",
        type=_positive,
        default=None,
        metavar="N",
        help="longest that one of the bundle's own scripts may run (default: 900, of these 600 computing)",
    )
    option(
        "--mecheval-environment",
        choices=("auto", "current"),
        default="auto",
        help="interpreter for the bundle's own code: this one, or a private environment where the bundle "
        "declares other packages (wheels only); `current` installs nothing (default: auto)",
    )
    option(
        "--mecheval-frozen",
        action="store_true",
        help="refuse stale or missing claim files (implied by CI=true)",
    )
    option(
        "--mecheval-llm",
        choices=("auto", "anthropic", "replay", "exchange", "outline"),
        default="auto",
        help="who translates a bundle whose claim file is missing or stale; auto: the model service when "
        "there is a key, else rules alone, and then the run cannot pass (default: auto)",
    )
    option(
        "--mecheval-llm-dir",
        metavar="DIR",
        help="folder of recorded answers (replay), or of questions and answers (exchange)",
    )
    option(
        "--mecheval-max-cost",
        type=float,
        metavar="USD",
        help="stop translating before this could be exceeded",
    )
    option(
        "--mecheval-dry-run",
        action="store_true",
        help="show what a translation would send and what it may cost, then end",
    )
    option(
        "--mecheval-inconclusive",
        choices=("fail", "skip"),
        default="fail",
        help="what an INCONCLUSIVE claim does (default: fail)",
    )
    option(
        "--mecheval-jobs",
        type=_positive,
        default=1,
        metavar="N",
        help="measuring processes at a time (default: 1)",
    )
    option(
        "--mecheval-threads",
        type=_positive,
        default=1,
        metavar="N",
        help="torch threads per measuring process (default: 1)",
    )


def _positive(text: str) -> int:
    """A whole number of at least one.

    Raises:
        argparse.ArgumentTypeError: it is not; argparse turns this into a usage error.
    """
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Keep pytest from importing a conftest.py that belongs to a bundle."""
    options = early_config.known_args_namespace
    if getattr(options, "mecheval", None):
        from pytest_mecheval.cases.guard import conftests_reach_a_bundle

        options.noconftest = options.noconftest or conftests_reach_a_bundle(
            [Path(bundle) for bundle in options.mecheval],
            options.file_or_dir,
            early_config.invocation_params.dir,
        )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register the kinds as markers and, with `--mecheval`, load every bundle before collection."""
    for kind in _kind_names():
        config.addinivalue_line(
            "markers", f"{kind}: claims of kind {kind} (mecheval explain {kind})"
        )
    config.addinivalue_line("markers", "plan_step: steps of a bundle's plan")
    config.addinivalue_line("markers", "not_testable: stated findings no check can decide")
    if config.option.mecheval and not config.option.help:
        from pytest_mecheval.cases.session import open_session

        worker = getattr(config, "workerinput", None)
        if worker is None:
            _quieten_workers(config)
        else:
            vars(config.option).update(worker[WORKER_OPTIONS])
        session = open_session(
            config,
            session_id=worker[WORKER_KEY] if worker else None,
            prepare=functools.partial(_translate, config),
        )
        config.pluginmanager.register(SessionHooks(session), SESSION_PLUGIN)


def _translate(config: pytest.Config, settings: "Settings") -> None:
    """Have missing or stale claim files written, unless this run is frozen; workers find them in the options."""
    if settings.frozen:
        return
    from pytest_mecheval.cases.session import running
    from pytest_mecheval.cases.settings import folder_names
    from pytest_mecheval.translate import before_run
    from pytest_mecheval.translate.choosing import Choice

    option = config.option
    folder = settings.invocation_dir / option.mecheval_llm_dir if option.mecheval_llm_dir else None
    choice = Choice(option.mecheval_llm, folder, option.mecheval_max_cost)
    names = folder_names(settings.bundles, settings.invocation_dir)
    wanted = tuple(
        before_run.Wanted(bundle, claims, settings.out / name)
        for bundle, claims, name in zip(settings.bundles, settings.claim_files, names, strict=True)
    )
    if option.mecheval_dry_run:
        _say(config, before_run.dry_run(wanted, choice))
        pytest.exit("dry run: nothing was sent and nothing was run", returncode=0)
    paths, outlined = before_run.claim_files(
        wanted, choice, running(settings), functools.partial(_say, config)
    )
    written = dataclasses.replace(settings, claim_files=paths, outlined=outlined)
    vars(option).update(written.as_options)


def _say(config: pytest.Config, text: str) -> None:
    """Show lines although pytest captures output and its reporter does not exist yet."""
    capture: Any = config.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def _kind_names() -> list[str]:
    """The kinds as file names, so that no kind has to be imported to know its marker."""
    files = os.listdir(os.path.join(os.path.dirname(__file__), "checks", "kinds"))  # noqa: PTH118, PTH120, PTH208 - five times faster than pathlib, in every pytest run
    return sorted(name[:-3] for name in files if name.endswith(".py") and name[0] != "_")


def _quieten_workers(config: pytest.Config) -> None:
    """Set thread variables for child processes unless the user has; undone when pytest ends."""
    for name, value in WORKER_ENVIRONMENT.items():
        if name not in os.environ:
            os.environ[name] = value
            config.add_cleanup(functools.partial(_forget_variable, name))


def _forget_variable(name: str) -> None:
    os.environ.pop(name, None)


@pytest.fixture
def audit(request: pytest.FixtureRequest) -> "Audit":
    """Measures and decides the claim of the requesting test: `audit.ablation(components=...)`."""
    from pytest_mecheval.cases.audit import Audit

    hooks = request.config.pluginmanager.get_plugin(SESSION_PLUGIN)
    if hooks is None:  # an ejected module, run without --mecheval
        from pytest_mecheval.cases.session import open_for_ejected

        hooks = SessionHooks(open_for_ejected(request.config))
        request.config.pluginmanager.register(hooks, SESSION_PLUGIN)
    return Audit(hooks.session, request.node)


class SessionHooks:
    """The hooks that exist only while claims are being audited."""

    def __init__(self, session: "Session") -> None:
        self.session = session

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell an xdist worker which session it belongs to."""
        settings = self.session.settings
        node.workerinput[WORKER_KEY] = settings.session_id
        node.workerinput[WORKER_OPTIONS] = settings.as_options

    def pytest_sessionstart(self) -> None:
        self.session.starting()

    def pytest_report_header(self) -> list[str]:
        return self.session.header()

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Nothing inside a bundle is ever collected."""
        return True if self.session.is_inside_bundle(collection_path) else None

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        self.session.mark(item)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Only the cases that are left after -k, -m and --lf are measured."""
        self.session.select(session.items)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Show our own exceptions as their text, without a traceback."""
        report = yield
        return self.session.readable(report, item, call)

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """A broken harness is an error, not a failed claim."""
        return ("error", "E", "ERROR") if self.session.is_harness_error(report) else None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.session.record(report)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """Once workers have ended, write the reports and make the exit status honest."""
        self.session.stopping()
        yield
        session.exitstatus = self.session.finish(int(session.exitstatus))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        self.session.summarise(terminalreporter)

    def pytest_unconfigure(self) -> None:
        self.session.close()
