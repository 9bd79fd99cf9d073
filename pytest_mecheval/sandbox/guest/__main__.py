"""`python -I PATH/guest REQUEST ANSWER`: two descriptor numbers; read what is asked, answer, leave.

Starts as a folder handed to the interpreter, so it first leaves `sys.path` and loads itself under a
private name: a bundle with a `calls.py` of its own must import its own.
"""

import importlib
import importlib.util
import sys
from pathlib import Path

PRIVATE_NAME = "_visitor"
"""Package name inside the bundle's interpreter; no bundle file can shadow or be shadowed by it."""


def load(folder: Path) -> None:
    """Make this folder importable as `PRIVATE_NAME`.

    Raises:
        ImportError: the folder is not the guest package.
    """
    place = folder / "__init__.py"
    spec = importlib.util.spec_from_file_location(
        PRIVATE_NAME, place, submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{place}: not a package")
    module = importlib.util.module_from_spec(spec)
    sys.modules[PRIVATE_NAME] = module
    spec.loader.exec_module(module)


def main() -> None:
    """Hand over to `answering.main` of the privately named package."""
    folder = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != folder]
    sys.dont_write_bytecode = True
    load(folder)
    importlib.import_module(f"{PRIVATE_NAME}.answering").main(sys.argv[1:])


if __name__ == "__main__":
    main()
