"""What `run_all.sh` starts, read as text: the simple language agents write, and a reason for everything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mecheval.bundle.commands import Command, parse_entry
from pytest_mecheval.bundle.shell_script import MAX_STARTS, read_shell_script
from pytest_mecheval.errors import BundleError

FILES = (
    *("a.py", "b.py", "my run.py", "src/c.py", "src/pkg/__main__.py", "notebooks/n.ipynb"),
    *("run_all.sh", "scripts/run.sh", "scripts/d.py", "requirements.txt"),
)


def read(text: str, path: str = "run_all.sh", **others: str):
    texts = {path: text, **{name.replace("__", "/") + ".sh": one for name, one in others.items()}}
    return read_shell_script(path, texts, (*FILES, *texts))


def started(text: str, path: str = "run_all.sh") -> list[str]:
    return [command.words for command in read(text, path).commands]


USUAL = """#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")"          # wherever it is called from
HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
export PYTHONPATH="$HERE/src:${PYTHONPATH:-}"
PY=${PYTHON:-python3}
mkdir -p results logs
pip install -r requirements.txt
echo "== train =="
CUDA_VISIBLE_DEVICES= $PY a.py --out "$HERE/results" \\
    --note 'two words' 2>&1 | tee logs/a.log
for seed in 0 1; do
  python -u b.py --seed $seed
done
jupyter nbconvert --to notebook --execute --inplace notebooks/n.ipynb
"""


def test_a_usual_script():
    script = read(USUAL)
    train, first, second, notebook = script.commands
    assert train == Command(
        "a.py",
        ("--out", "./results", "--note", "two words"),
        variables=(("CUDA_VISIBLE_DEVICES", ""),),
        search=("src",),
        output="logs/a.log",
        place="run_all.sh:10",
    )
    assert [one.arguments for one in (first, second)] == [("--seed", "0"), ("--seed", "1")]
    assert notebook.script == "notebooks/n.ipynb"
    assert script.folders == ("results", "logs")
    assert script.notes == (
        "run_all.sh:8: pip install -r requirements.txt: "
        "not run: the environment is made from what the bundle declares",
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("python a.py", ["a.py"]),
        ("python3.11 ./a.py\r\npython b.py\r\n", ["a.py", "b.py"]),
        (".venv/bin/python a.py; python b.py &\nwait", ["a.py", "b.py"]),
        ("uv run python a.py && uv run b.py", ["a.py", "b.py"]),
        ("time python -W ignore a.py", ["a.py"]),
        ("env SEED=1 python a.py --n=64", ["a.py --n=64"]),
        ("python 'my run.py'", ["'my run.py'"]),
        ("cd src\npython c.py ../a.py", ["src/c.py ../a.py"]),
        ("(python a.py)", None),
        ("ARGS='--n 1 --m 2'\npython a.py $ARGS", ["a.py --n 1 --m 2"]),
        ("ARGS='--n 1'\npython a.py \"$ARGS\"", ["a.py '--n 1'"]),
        ("python a.py ${1:-8} $@", ["a.py 8"]),
        ("source .venv/bin/activate\npython a.py", ["a.py"]),
        ("rm -rf results/*\npython a.py", ["a.py"]),
        ("python a.py > /dev/null 2>&1", ["a.py"]),
        ("python a.py\nexit 0\npython b.py", ["a.py"]),
        ("papermill notebooks/n.ipynb out.ipynb", ["notebooks/n.ipynb"]),
        ("bash scripts/other.sh", None),
        ("echo 'python b.py'\npython a.py # python b.py", ["a.py"]),
        ("for x in a b; do\n for y in 1 2; do python a.py $x $y; done\ndone", 4),
    ],
)
def test_starts_in_order(text, words):
    if words is None:
        with pytest.raises(BundleError, match=r"run_all\.sh:1|other"):
            started(text)
    elif isinstance(words, int):
        assert len(started(text)) == words
    else:
        assert started(text) == words


def test_modules_keep_their_package_and_folder():
    (plain,) = read("python -m src.c --n 2").commands
    assert (plain.script, plain.package, plain.arguments) == ("src/c.py", "src", ("--n", "2"))
    (main,) = read("PYTHONPATH=src python -m pkg").commands
    assert (main.script, main.package, main.search) == ("src/pkg/__main__.py", "pkg", ("src",))


def test_a_failure_ends_the_script_where_the_shell_would():
    stops = lambda text: [one.stops for one in read(text).commands]  # noqa: E731
    assert stops("python a.py\npython b.py") == [False, False]
    assert stops("set -e\npython a.py\nset +e\npython b.py") == [True, False]
    assert stops("set -e\npython a.py || true\npython b.py") == [False, True]
    assert stops("python a.py && python b.py") == [True, False]
    assert stops("python a.py || exit 1\npython b.py") == [True, False]


def test_another_script_of_the_bundle_starts_where_it_is_called():
    script = read(
        "export SEED=5\nbash scripts/run.sh\npython b.py", scripts__run="cd scripts\npython d.py"
    )
    assert [(one.words, one.folder, one.place) for one in script.commands] == [
        ("scripts/d.py", "scripts", "scripts/run.sh:2"),
        ("b.py", "", "run_all.sh:3"),
    ]
    assert all(("SEED", "5") in one.variables for one in script.commands)


def test_a_script_in_a_folder_may_mean_its_own_folder():
    (command,) = read("python d.py", "scripts/run.sh").commands
    assert (command.script, command.folder) == ("scripts/d.py", "scripts")


def test_output_files():
    (kept,) = read("python a.py >> logs/a.txt").commands
    assert (kept.output, kept.appended) == ("logs/a.txt", True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("python a.py\nif true; then python b.py; fi", ":2: `if` is not read"),
        ("python - <<EOF\nprint(1)\nEOF", ":1: `<<` is not read"),
        ("python -c 'print(0.93)'", ":1: `python -c` is not read"),
        ("python a.py | grep acc", ":1: `| grep` is not read"),
        ("curl http://x | sh", ":1: `| sh` is not read"),
        ("sudo python a.py", ":1: `sudo` is not read"),
        ("eval 'python a.py'", ":1: `eval` is not read"),
        ("f() { python a.py; }", r":1: `\(` is not read"),
        ("for f in *.py; do python $f; done", ":1: a loop over file patterns"),
        ("for i in {1..3}; do python a.py; done", ":1: a loop over file patterns or ranges"),
        ("for i in a; do python a.py", ":1: `for` without `done`"),
        ("while true; do python a.py; done", ":1: `while` is not read"),
        ("cd /tmp", ":1: /tmp is outside the bundle"),
        ("cd nowhere", ":1: no folder nowhere in the bundle"),
        ("python ../a.py", r":1: \.\./a\.py is outside the bundle"),
        ("python missing.py", ":1: missing.py: no such file"),
        ("python requirements.txt", ":1: requirements.txt: neither a Python script"),
        ("python -m pytest tests", ":1: `python -m pytest`: no such module"),
        ("python $SCRIPT", ":1: \\$SCRIPT is not set"),
        ("python a.py --n $((1+2))", r":1: \$\(\(1\+2\)\) is not read"),
        ("python a.py --d $(date)", r":1: \$\(date\) is not read"),
        ("python 'a.py", ":1: a quote is not closed"),
        ("rm -rf src", ":1: `rm` is read for stored results only"),
        ("python a.py\nrm -rf results", ":2: `rm` is read for stored results only"),
        ("echo '{\"acc\": 0.93}' > results/x.json\npython a.py", ":1: `echo` into a file"),
        ("bash -c 'python a.py'", ":1: a shell is read with one script"),
        ("bash run_all.sh", "call each other more than"),
        ("papermill notebooks/n.ipynb o.ipynb -p n 3", ":1: `papermill` with options"),
        ("echo nothing", "starts no Python script"),
        ("python a.py\0", ":1: it holds a NUL character"),
        ("python -m", ":1: `python -m` is not read"),
    ],
)
def test_what_is_not_understood_is_named_with_its_line(text, reason):
    with pytest.raises(BundleError, match=rf"run_all\.sh.*{reason}"):
        read(text)


def test_loops_cannot_start_without_end():
    numbers = " ".join(map(str, range(MAX_STARTS + 1)))
    with pytest.raises(BundleError, match="more than 100 starts"):
        read(f"for i in {numbers}; do python a.py $i; done")
    deep = "for i in 0 1 2 3 4 5 6 7 8 9; do " * 9 + "python a.py" + "; done" * 9
    with pytest.raises(BundleError, match="more than 100 starts"):
        read(deep)
    with pytest.raises(BundleError, match="more than 10000 commands"):
        read(deep.replace("python a.py", "echo"))
    with pytest.raises(BundleError, match="more than 20 loops"):
        read("for i in a; do " * 1000 + "echo" + "; done" * 1000)
    with pytest.raises(BundleError, match="more than 10000 commands"):
        read(deep.replace("python a.py; done", "done"))


@given(st.text(alphabet="python a.b-m'\"$(){}|&;<>\\\n#`for in do done cd=/", max_size=60))
def test_any_text_is_read_or_refused(text):
    try:
        script = read(text)
    except BundleError:
        return
    assert script.commands
    assert all(command.script in FILES for command in script.commands)


@pytest.mark.parametrize(
    ("text", "file", "arguments"),
    [
        ("a.py", "a.py", ()),
        ("./a.py --n 64", "a.py", ("--n", "64")),
        ("my run.py", "my run.py", ()),
        ("'my run.py' 'two words'", "my run.py", ("two words",)),
        ("run_all.sh", "run_all.sh", ()),
    ],
)
def test_an_entry_is_a_file_and_its_arguments(text, file, arguments):
    entry = parse_entry(text, FILES)
    assert (entry.file, entry.arguments) == (file, arguments)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "must be a file"),
        ("a.py 'x", "not readable as a command"),
        ("../a.py", "leaves the bundle"),
        ("/bin/a.py", "is absolute"),
        ("a.md --n 1", "cannot be run"),
        ("run_all.sh --fast", "a shell script takes no arguments"),
    ],
)
def test_an_entry_that_cannot_be_started(text, reason):
    with pytest.raises(BundleError, match=reason):
        parse_entry(text, FILES)
