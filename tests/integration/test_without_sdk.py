"""Claims are collected without the model service's SDK ever being imported."""

import subprocess
import sys


def test_collecting_claims_imports_no_sdk(toy):
    code = (
        "import sys, pytest; status = pytest.main(['--collect-only', '-q', '--mecheval=toy']); "
        "print(int(status), sorted({'anthropic', 'httpx2', 'torch'} & set(sys.modules)))"
    )
    shown = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=toy.parent
    ).stdout
    assert "test_" in shown
    assert shown.splitlines()[-1] == "0 []"
