"""One pytest run over one or more bundles: loads them before collection, keeps score, reports at the end."""

import sys
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from pytest_mecheval.cases import allure_folder
from pytest_mecheval.cases.audit import CLAIM_PROPERTY, ERROR_PROPERTY, VERDICT_PROPERTY
from pytest_mecheval.cases.guard import (
    is_within,
    refuse_foreign_code,
    refuse_foreign_configuration,
    refuse_unconfined,
)
from pytest_mecheval.cases.loading import Entry, LoadedBundle, load
from pytest_mecheval.cases.progress import Progress, terminal_writer
from pytest_mecheval.cases.rendering import module_name, modules, write_modules
from pytest_mecheval.cases.scoreboard import Scoreboard
from pytest_mecheval.cases.settings import Settings, folder_names, read_settings, shown
from pytest_mecheval.checks.registry import checks
from pytest_mecheval.errors import ClaimNotSupported, MechevalError, UsageError
from pytest_mecheval.run.runner import Runner, Workplace
from pytest_mecheval.run.subject import Running
from pytest_mecheval.vocabulary import Dimension
from pytest_mecheval.wire import write_atomically

PACKAGE = Path(__file__).parents[1]
LISTED_PROBLEMS = 100
"""Problems shown at once; a file with more is broken in some general way."""

IGNORE_ALL = "# Written by pytest-mecheval: everything here can be made again.\n*\n"


class Session:
    """What the hooks and the `audit` fixture share in one process."""

    def __init__(
        self, config: pytest.Config, settings: Settings, bundles: Iterable[LoadedBundle]
    ) -> None:
        self.config = config
        self.settings = settings
        self.bundles = tuple(bundles)
        self.is_controller = not hasattr(config, "workerinput")
        workplace = Workplace(
            settings.evidence, settings.session_id, slots=settings.jobs, threads=settings.threads
        )
        write = terminal_writer() if self.is_controller else None
        self.progress = Progress(workplace.session, write) if write else None
        self.runner = Runner(workplace)
        self.scoreboard = Scoreboard(self.bundles, settings)
        self._modules = {
            module_name(loaded.name, dimension): loaded
            for loaded in self.bundles
            for dimension in Dimension
        }
        self._ejected: dict[Path, LoadedBundle] = {}
        self._roots = [loaded.bundle.root for loaded in self.bundles]

    def header(self) -> list[str]:
        """Lines for pytest's header."""
        return [
            f"mecheval: {shown(loaded.bundle.root, self.settings.invocation_dir)}, "
            f"{len(loaded.entries)} statements from {loaded.claims_path.name}"
            for loaded in self.bundles
        ]

    def is_inside_bundle(self, path: Path) -> bool:
        """Whether pytest must not look at this path; our own output may lie in a bundle."""
        return any(is_within(path, root) for root in self._roots) and not (
            is_within(path, self.settings.out) or is_within(self.settings.out, path)
        )

    def find_case(self, case: pytest.Item | pytest.TestReport) -> tuple[LoadedBundle, Entry] | None:
        """The bundle and claim of a test; a node id names no file that lies outside pytest's rootdir."""
        function = case.nodeid.rpartition("::")[2]
        return self.find(f"{case.location[0]}::{function}")

    def find(self, node_id: str) -> tuple[LoadedBundle, Entry] | None:
        """The bundle and claim a test belongs to, by module and function name."""
        path, _, function = node_id.partition("::")
        if not path:
            # pytest leaves the file out when the output folder lies outside its root folder.
            named = [
                (each, each.entries[function]) for each in self.bundles if function in each.entries
            ]
            return named[0] if len(named) == 1 else None
        loaded = self._modules.get(Path(path).stem)
        entry = loaded.entries.get(function) if loaded else None
        return (loaded, entry) if loaded and entry else None

    def _claimed(self, name: str) -> tuple[LoadedBundle, Entry] | None:
        """The bundle and claim that a case itself said it is: `bundle/claim`."""
        bundle, _, claim = name.partition("/")
        for loaded in self.bundles:
            for entry in loaded.entries.values():
                if (loaded.name, entry.case.id) == (bundle, claim):
                    return loaded, entry
        return None

    def entry_of(self, item: pytest.Item) -> tuple[LoadedBundle, Entry]:
        """The bundle and claim of a running test.

        Raises:
            MechevalError: the claim file has no claim for it, or an ejected module's bundle cannot be read.
        """
        constants = vars(getattr(item, "module", None) or object)
        if "BUNDLE" in constants and "CLAIMS" in constants:
            bundle, claims = str(constants["BUNDLE"]), str(constants["CLAIMS"])
            loaded = self._ejected_bundle(item.path.parent, bundle, claims)
            entry = loaded.entries.get(item.name)
            found = (loaded, entry) if entry else None
        else:
            found = self.find(f"{item.path.name}::{item.name}")
        if found is None:
            raise MechevalError(
                f"{item.name}: the claim file has no claim of this id any more; remove this test"
            )
        return found

    def _ejected_bundle(self, folder: Path, bundle: str, claims: str) -> LoadedBundle:
        root = (folder / bundle).resolve()
        if root not in self._ejected:
            (name,) = folder_names([root], folder)
            loaded, problems = load(
                root, folder / claims, name, self.settings.salt, running(self.settings)
            )
            if loaded is None:
                raise UsageError("\n".join(problems))
            self._ejected[root] = loaded
            requests = (entry.request for entry in loaded.entries.values())
            self.runner.select((*self.runner.selected, *requests))
        return self._ejected[root]

    def decision_path(self, loaded: LoadedBundle, claim: str) -> Path:
        """Where the decision about a claim is written."""
        return self.settings.out / loaded.name / "decisions" / f"{claim}.json"

    def mark(self, item: pytest.Item) -> None:
        """Attach labels and title from the claim file to a collected case."""
        if (found := self.find_case(item)) is not None:
            allure_folder.mark(item, *found)

    def select(self, items: Iterable[pytest.Item]) -> None:
        """Tell the runner what this run will need."""
        found = [self.find_case(item) for item in items]
        self.runner.select(entry.request for _, entry in filter(None, found))

    def readable(
        self, report: pytest.TestReport, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> pytest.TestReport:
        """The report with our own exceptions as plain text, and skips at the test's own place."""
        if call.excinfo is None:
            return report
        error = call.excinfo.value
        if isinstance(error, ClaimNotSupported | MechevalError):
            text = call.excinfo.getrepr(style="value")
            text.reprcrash.message = str(error)  # type: ignore[union-attr]
            report.longrepr = text
        elif report.skipped and self.find_case(item) and isinstance(report.longrepr, tuple):
            path, line, _ = item.location
            report.longrepr = (path, (line or 0) + 1, report.longrepr[2])
        return report

    def is_harness_error(self, report: pytest.TestReport) -> bool:
        """Whether a failed case failed on our side."""
        return report.failed and any(name == ERROR_PROPERTY for name, _ in report.user_properties)

    def record(self, report: pytest.TestReport) -> None:
        """Keep what became of a case."""
        properties = dict(report.user_properties)
        found = self.find_case(report) or self._claimed(str(properties.get(CLAIM_PROPERTY, "")))
        if found is None or not self.is_controller:
            return
        if VERDICT_PROPERTY in properties:
            self.scoreboard.decided(*found, report.nodeid)
        elif report.failed:
            text = str(properties.get(ERROR_PROPERTY) or report.longreprtext)
            self.scoreboard.failed(*found, report.nodeid, text)

    @property
    def _leads_workers(self) -> bool:
        """Whether this is the controller of xdist workers, which runs no test itself."""
        return self.is_controller and self.config.pluginmanager.hasplugin("dsession")

    def starting(self) -> None:
        """The run begins."""
        if self.progress:
            self.progress.watch()

    def stopping(self) -> None:
        """All tests are done: nobody should start measuring any more."""
        if self.progress:
            self.progress.end()
        if self._leads_workers:
            self.runner.stop()

    def finish(self, exit_status: int) -> int:
        """End the measuring; on the controller write the reports and find the honest exit status."""
        interrupted = exit_status == pytest.ExitCode.INTERRUPTED
        self.runner.close(wait=not self.is_controller and not interrupted)
        if not self.is_controller or self.config.option.collectonly:
            return exit_status
        self.runner.clean()
        if not self.bundles:
            return exit_status
        self.scoreboard.write()
        allure_folder.complete(self.config, self.scoreboard)
        return self.scoreboard.exit_status(exit_status)

    def summarise(self, terminal: Any) -> None:
        """The table, the scores and where everything lies."""
        if self.is_controller and not self.config.option.collectonly:
            self.scoreboard.summarise(terminal, allure_folder.shown_folder(self.config))

    def close(self) -> None:
        """Leave no process and no thread behind, whatever happened."""
        if self.progress:
            self.progress.end()
        self.runner.close(wait=False)


def open_session(
    config: pytest.Config,
    session_id: str | None,
    prepare: Callable[[Settings], None] = lambda _settings: None,
) -> Session:
    """Load all bundles of a run and point pytest at their cases.

    Args:
        config: pytest's configuration.
        session_id: given by the controller; None on the controller itself.
        prepare: on the controller, once the command line is known to be sound: may translate bundles
            and name their claim files in `config.option`.

    Raises:
        pytest.UsageError: with every problem of every bundle; pytest then ends with status 4.
    """
    try:
        settings = read_settings(
            config.option, config.invocation_params.dir, session_id or uuid.uuid4().hex[:12]
        )
        refuse_unconfined(settings.sandbox, config.invocation_params.args)
        refuse_foreign_configuration(
            settings.bundles,
            inipath=config.inipath,
            rootpath=config.rootpath,
            invocation_dir=config.invocation_params.dir,
            chosen_by_user=bool(config.option.inifilename or config.option.rootdir),
        )
        refuse_foreign_code(
            settings.bundles,
            search_path=sys.path,
            modules=sys.modules,
            trusted=[Path(sys.prefix), Path(sys.base_prefix), PACKAGE],
        )
        if session_id is None:
            prepare(settings)
            settings = read_settings(
                config.option, config.invocation_params.dir, settings.session_id
            )
        bundles = _load_all(settings)
        session = Session(config, settings, bundles)
        if session.is_controller:
            _render_all(settings, bundles)
            allure_folder.prepare(config, settings, [loaded.name for loaded in bundles])
            if not config.option.collectonly:
                session.scoreboard.clear()
        else:
            allure_folder.follow(config, settings, [loaded.name for loaded in bundles])
    except UsageError as error:
        raise pytest.UsageError(str(error)) from error
    _point_pytest_at(config, settings, bundles)
    return session


def open_for_ejected(config: pytest.Config) -> Session:
    """A session for modules written by `mecheval eject`, run without `--mecheval`."""
    worker = getattr(config, "workerinput", {})
    identity = str(worker.get("testrunuid") or uuid.uuid4().hex)[:12]
    return Session(config, read_settings(config.option, config.invocation_params.dir, identity), ())


def running(settings: Settings) -> Running:
    """How the bundles' own code is run in this session."""
    return Running(
        settings.sandbox, settings.environment, settings.limits, settings.evidence, settings.gpu
    )


def _load_all(settings: Settings) -> tuple[LoadedBundle, ...]:
    checks()  # a defective kind is reported before anything else
    names = folder_names(settings.bundles, settings.invocation_dir)
    loaded, problems = [], []
    for path, claims, name in zip(settings.bundles, settings.claim_files, names, strict=True):
        bundle, found = load(path, claims, name, settings.salt, running(settings))
        problems += found
        if bundle is not None:
            loaded.append(bundle)
    if problems:
        raise UsageError(_listed(problems))
    return tuple(loaded)


def _listed(problems: list[str]) -> str:
    if len(problems) == 1:
        return f"mecheval: {problems[0]}"
    lines = [f"  {problem}" for problem in problems[:LISTED_PROBLEMS]]
    if len(problems) > LISTED_PROBLEMS:
        lines.append(f"  and {len(problems) - LISTED_PROBLEMS} more")
    return "\n".join([f"mecheval: {len(problems)} problems, nothing was run", *lines])


def _render_all(settings: Settings, bundles: Iterable[LoadedBundle]) -> None:
    if not settings.out.exists():
        write_atomically(settings.out / ".gitignore", IGNORE_ALL)
    for loaded in bundles:
        sources = modules(loaded.name, loaded.claims_path.name, loaded.cases)
        write_modules(settings.out / loaded.name / "tests", sources)


def _point_pytest_at(
    config: pytest.Config, settings: Settings, bundles: Iterable[LoadedBundle]
) -> None:
    """Collect our modules: instead of everything, or beside what the command line names."""
    files = [
        settings.out / loaded.name / "tests" / f"{module_name(loaded.name, dimension)}.py"
        for loaded in bundles
        for dimension in sorted({case.dimension for case in loaded.cases})
    ]
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args[:] = [str(file) for file in files]
        return
    named = [settings.invocation_dir / argument.split("::", 1)[0] for argument in config.args]
    if not any(is_within(path, settings.out) for path in named):
        config.args.extend(str(file) for file in files)
