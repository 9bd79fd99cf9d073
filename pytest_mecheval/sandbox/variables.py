"""The environment variables of a confined program: a fixed list, built from nothing it could learn from."""

import sys
from collections.abc import Mapping
from pathlib import Path

from pytest_mecheval.errors import UsageError

SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin"

FORBIDDEN_PARTS = ("KEY", "TOKEN", "SECRET", "PASSW", "CREDENTIAL", "AUTH", "COOKIE")
FORBIDDEN_STARTS = (
    *("PYTEST", "PYTHONSTARTUP", "PYTHONINSPECT", "LD_", "DYLD_", "AWS_", "GITHUB_", "ACTIONS_"),
    *("RUNNER_", "CI_", "SSH_", "GPG_", "ANTHROPIC_", "OPENAI_", "MECHEVAL"),
)


def scrubbed(
    scratch: Path,
    *,
    python: Path = Path(sys.executable),
    threads: int = 1,
    extra: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Everything a confined program finds in its environment; nothing comes from this process.

    Args:
        scratch: its writable folder; home, temporary files and caches go below it.
        python: its interpreter, first on its search path.
        threads: for OpenMP and MKL; thread counts change floating point sums, so they are fixed.
        extra: more variables, by us.

    Raises:
        UsageError: an extra variable has a name that secrets or loaders use.

    >>> scrubbed(Path("/s"), python=Path("/usr/bin/python3"))["HOME"]
    '/s/home'
    """
    home = str(scratch / "home")
    number = str(threads)
    variables = {
        "PATH": f"{python.parent}:{SEARCH_PATH}",
        "HOME": home,
        "TMPDIR": str(scratch / "tmp"),
        "USER": "user",
        "LOGNAME": "user",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "TERM": "dumb",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "PYTHONNOUSERSITE": "1",
        "OMP_NUM_THREADS": number,
        "MKL_NUM_THREADS": number,
        "OPENBLAS_NUM_THREADS": number,
        "OMP_WAIT_POLICY": "PASSIVE",
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": f"{home}/.matplotlib",
        "HF_HOME": f"{home}/.huggingface",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "XDG_CACHE_HOME": f"{home}/.cache",
        "TORCHINDUCTOR_CACHE_DIR": f"{home}/.cache/torchinductor",
        "TRITON_CACHE_DIR": f"{home}/.cache/triton",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "TOKENIZERS_PARALLELISM": "false",
    }
    for name, value in (extra or {}).items():
        if is_sensitive(name):
            raise UsageError(
                f"sandbox: variable {name}: its name suggests a secret or changes how programs load; "
                "it cannot be handed in"
            )
        variables[name] = value
    return variables


def is_sensitive(name: str) -> bool:
    """Whether a variable of this name must never reach foreign code.

    >>> is_sensitive("HF_TOKEN"), is_sensitive("PYTEST_ADDOPTS"), is_sensitive("OMP_NUM_THREADS")
    (True, True, False)
    """
    upper = name.upper()
    return upper.startswith(FORBIDDEN_STARTS) or any(part in upper for part in FORBIDDEN_PARTS)
