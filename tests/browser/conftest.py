"""A headless Chromium that cannot reach the network, and the pages of the honest example and its flawed twin."""

import functools
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests")]
CHROMIUM = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)
"""No name is resolved but this machine's own, and Chromium's own services stay silent."""
BUNDLES = {"honest": "examples/induction_heads", "flawed": "fixtures/induction_heads_flawed"}


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """Skipped, and said so, where playwright or a Chromium is missing."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install .[browser]")
    program = next((path for path in CHROMIUM if Path(path).is_file()), None)
    if program is None:
        pytest.skip("no Chromium in /usr/bin")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield chromium
        chromium.close()


class Watched:
    """A page that remembers what it must not do."""

    def __init__(self, browser, *, width: int = 1280, scheme: str = "light") -> None:
        self.page = browser.new_page(
            viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
        )
        self.complaints: list[str] = []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("dialog", self._dialog)
        self.page.on("popup", lambda _: self.complaints.append("opened a window"))
        self.page.on("request", self._request)

    def _console(self, message) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"console: {message.text}")

    def _dialog(self, dialog) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request) -> None:
        if not request.url.startswith(("file:", "data:", "blob:", "http://127.0.0.1:")):
            self.complaints.append(f"request: {request.url}")


@pytest.fixture
def watched(browser) -> Iterator:
    """Opens pages; afterwards none of them may have complained, asked for anything or left the machine."""
    opened: list[Watched] = []

    def open_page(address: str, **options) -> Watched:
        found = Watched(browser, **options)
        opened.append(found)
        found.page.goto(address)
        found.page.wait_for_load_state("networkidle")
        return found

    yield open_page
    for each in opened:
        each.page.close()
    assert [complaint for each in opened for complaint in each.complaints] == []


@pytest.fixture(scope="session")
def runs(browser, tmp_path_factory) -> dict[str, Path]:  # noqa: ARG001 - nothing runs without a browser
    """Output folders of the audits; MECHEVAL_TEST_EVIDENCE names evidence to start from."""
    evidence = os.environ.get("MECHEVAL_TEST_EVIDENCE") or tmp_path_factory.mktemp("evidence")
    found = {}
    for name, bundle in BUNDLES.items():
        out = tmp_path_factory.mktemp(name)
        subprocess.run(
            [
                *(sys.executable, "-m", "pytest", f"--mecheval={bundle}", f"--mecheval-out={out}"),
                *(f"--mecheval-evidence={evidence}", "-n", "0", "-q", "-p", "no:cacheprovider"),
            ],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            check=False,
            capture_output=True,
            timeout=900,
        )
        found[name] = out / Path(bundle).name
        assert (found[name] / "summary.html").is_file()
    return found


@pytest.fixture(scope="session")
def serve() -> Iterator:
    """Serves a folder on this machine's own address."""
    servers = []

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    def start(folder: Path) -> str:
        handler = functools.partial(Quiet, directory=str(folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
