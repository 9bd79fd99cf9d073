"""Keeps a bundle from configuring or entering pytest; light enough to run before any plugin works."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pytest_mecheval.errors import UsageError


def is_within(path: Path, folder: Path) -> bool:
    """Whether `path` is `folder` or lies below it; both are compared after following links.

    >>> is_within(Path("/a/b/c"), Path("/a/b")), is_within(Path("/a/bc"), Path("/a/b"))
    (True, False)
    """
    return path.resolve().is_relative_to(folder.resolve())


def conftests_reach_a_bundle(
    bundles: Sequence[Path], positional: Iterable[str], invocation_dir: Path
) -> bool:
    """Whether pytest's start-up would look for conftest.py files inside a bundle.

    Without positional arguments only generated cases run, which need no conftest.py at all.
    Pytest also looks into `test*` folders below each argument.
    """
    anchors = [invocation_dir / name.split("::", 1)[0] for name in positional]
    return not anchors or any(
        is_within(anchor, bundle)
        or (bundle.name.startswith("test") and bundle.parent == anchor.resolve())
        for anchor in anchors
        for bundle in ((invocation_dir / path).resolve() for path in bundles)
    )


def refuse_foreign_configuration(
    bundles: Sequence[Path],
    *,
    inipath: Path | None,
    rootpath: Path,
    invocation_dir: Path,
    chosen_by_user: bool,
) -> None:
    """Refuse a run that took its configuration from a bundle, which could load plugins from there.

    Args:
        bundles: absolute bundle folders.
        inipath: the configuration file pytest read.
        rootpath: pytest's rootdir.
        invocation_dir: where pytest was started.
        chosen_by_user: `-c FILE` or `--rootdir DIR` was given, so the user picked it.

    Raises:
        UsageError: names the file and the safe command.
    """
    if chosen_by_user:
        return
    for bundle in bundles:
        inside = inipath is not None and is_within(inipath, bundle)
        above = (
            inipath is not None
            and is_within(bundle, inipath.parent)
            and not is_within(invocation_dir, inipath.parent)
        )
        rooted = is_within(rootpath, bundle) and not is_within(invocation_dir, bundle)
        if inside or above or rooted:
            taken = inipath if inside or above else f"{rootpath} as rootdir"
            raise UsageError(
                f"{taken}: pytest was configured from the bundle, so nothing it reports can be trusted; "
                + _safely(bundle)
            )


def _safely(bundle: Path) -> str:
    return (
        f"run it from outside the bundle as: pytest --mecheval={bundle} "
        f"(code of strangers: mecheval gate {bundle})"
    )


def refuse_foreign_code(
    bundles: Sequence[Path],
    *,
    search_path: Iterable[str],
    modules: Mapping[str, object],
    trusted: Sequence[Path],
) -> None:
    """Refuse a run in which the bundle's own files can be, or have been, imported.

    Best effort: code that runs before us can hide itself, which is why there is `mecheval gate`.

    Args:
        bundles: absolute bundle folders.
        search_path: `sys.path`.
        modules: `sys.modules`.
        trusted: folders of the interpreter and of this package; they may lie below a bundle that is
            a whole repository.

    Raises:
        UsageError: names the folder or module and the safe command.
    """
    named = {entry: f"import path: {entry}" for entry in search_path if entry}
    for name, module in list(modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str):
            # One module speaks for its folder: following links is slow, and there are thousands.
            named.setdefault(str(Path(file).parent), f"module {name}: {file}")
    for place, said in named.items():
        path = Path(place)
        for bundle in bundles:
            if is_within(path, bundle) and not any(is_within(path, each) for each in trusted):
                raise UsageError(f"{said}: lies inside the bundle under test; {_safely(bundle)}")


def refuse_unconfined(sandbox: str, arguments: Iterable[object]) -> None:
    """Running foreign code without protection is a decision for the command line, never for a file.

    Raises:
        UsageError: `none` comes from an ini file or an environment variable.
    """
    typed = [str(argument) for argument in arguments]
    if sandbox == "none" and not any("--mecheval-sandbox" in argument for argument in typed):
        raise UsageError(
            "--mecheval-sandbox=none: accepted on the command line only, not from a configuration "
            "file or PYTEST_ADDOPTS"
        )


def refuse_folders(bundles: Sequence[Path], *, out: Path, evidence: Path) -> None:
    """Refuse folders that cannot be written, and those that would mix with what is judged.

    Args:
        bundles: absolute bundle folders.
        out: absolute folder for test modules and reports; in a bundle only where no bundle is read.
        evidence: absolute folder for measurements; never in a bundle.

    Raises:
        UsageError: names the folder, the reason and the option.
    """
    from pytest_mecheval.bundle.roles import ignored

    for option, folder in (("--mecheval-out", out), ("--mecheval-evidence", evidence)):
        if why := why_not_writable(folder):
            raise UsageError(f"{folder}: {why}; name another folder with {option}")
    for bundle in (each.resolve() for each in bundles):
        if is_within(evidence, bundle):
            raise UsageError(
                f"{evidence}: measurements kept inside the bundle could have been prepared by its author; "
                "start pytest outside of the bundle, or name another folder with --mecheval-evidence"
            )
        parts = out.resolve().relative_to(bundle).parts if is_within(out, bundle) else None
        if parts is not None and not any(
            ignored(parts[: end + 1], True) for end in range(len(parts))
        ):
            raise UsageError(
                f"{out}: lies inside the bundle, whose next run would read our reports as findings; "
                "name another folder with --mecheval-out"
            )


def why_not_writable(folder: Path) -> str:
    """What keeps us from writing into a folder that may not exist yet; empty when nothing does."""
    try:
        there = next(each for each in (folder, *folder.parents) if os.path.lexists(each))
        if not there.is_dir():
            place = "is" if there == folder else f"cannot be made: {there} is"
            return f"{place} a file where a folder is needed"
        if not os.access(there, os.W_OK | os.X_OK):
            return "cannot be written: no permission" + ("" if there == folder else f" in {there}")
    except (OSError, ValueError) as error:
        return f"cannot be used: {getattr(error, 'strerror', None) or error}"
    return ""
