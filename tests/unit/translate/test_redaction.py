"""Secrets, addresses and host paths do not leave; what only looks like them stays."""

import time

import pytest

from pytest_mecheval.translate.redaction import ADDRESS, HOST_PATH, SECRET, redacted

# Put together here, so that no scanner of this repository mistakes them for real ones.
A, B = "a1B2c3D4e5F6g7H8", "i9J0k1L2m3N4o5P6"


@pytest.mark.parametrize(
    "secret",
    [
        f"sk-ant-api03-{A}{B}",
        f"sk-proj-{A}",
        f"ghp_{A}{B}",
        f"github_pat_{A}_{B}",
        f"hf_{A}{B}",
        f"glpat-{A}",
        f"npm_{A}{B}",
        f"pypi-{A}{B}",
        "AKIA" + "IOSFODNN7EXAMPLE",
        f"AIza{A}{B}",
        f"xoxb-{A}",
        f"eyJ{A}.eyJ{A}.{B}",
    ],
)
@pytest.mark.parametrize("frame", ["{}", "key={} end", "'{}',", "https://x.org/?t={}&a=1", "({})"])
def test_tokens_of_known_shape_go_and_are_not_shown(secret, frame):
    text, found = redacted(frame.format(secret), prose=True)
    assert secret not in text
    assert A[-8:] not in text
    assert {item.what for item in found} == {SECRET}
    assert all(secret not in item.shown and "characters" in item.shown for item in found)


@pytest.mark.parametrize(
    "line",
    [
        'OPENAI_API_KEY = "{}"',
        "api-key: {}",
        '"secret_key": "{}"',
        "password={}",
        "WANDB_API_KEY={}",
        "auth_token = '{}'",
        "Authorization: Bearer {}{}",
        "git clone https://ann:{}@example.org/x.git",
    ],
)
def test_values_given_to_secret_names_go(line):
    text, found = redacted(line.format(A, B), prose=False)
    assert A not in text
    assert [item.what for item in found] == [SECRET]


def test_a_private_key_goes_whole_and_lines_stay():
    body = "\n".join([A + B] * 5)
    kind = "RSA PRIVATE KEY"
    text, (found,) = redacted(
        f"a\n-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\nb", prose=False
    )
    assert A not in text
    assert text.count("\n") == 8
    assert text.endswith("\nb")
    assert found.what == SECRET
    cut, _ = redacted(f"-----BEGIN {kind}-----\n{body}\n\nThe report goes on.", prose=True)
    assert A not in cut
    assert cut.endswith("The report goes on.")


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("/home/ann/run_3/results/x.json", "[host path]/x.json"),
        ("/Users/ann/y.py", "[host path]/y.py"),
        ("/root/.cache/", "[host path]/"),
        ("/scratch/tmpab12", "[host path]/tmpab12"),
        ("/unusual/disk/of/ours.txt", "[host path]/ours.txt"),
        ("file:///home/ann/z.html", "file://[host path]/z.html"),
        ("C:\\Users\\ann\\model.pt", "[host path]\\model.pt"),
        ("D:\\\\data\\\\model.pt", "[host path]\\model.pt"),
    ],
)
@pytest.mark.parametrize("frame", ["saved to {}", "open('{}')", "path={}", "`{}`"])
def test_absolute_paths_keep_only_their_last_part(path, left, frame):
    text, (found,) = redacted(frame.format(path), prose=True)
    assert text == frame.format(left)
    assert found.what == HOST_PATH


def test_addresses_go_from_prose_only():
    assert (
        redacted("ask ann.lee@uni.example.org, please", prose=True)[0]
        == "ask [e-mail address], please"
    )
    assert redacted("<ann@example.org>", prose=True)[1][0].what == ADDRESS
    assert redacted("W_U@resid.mean", prose=False) == ("W_U@resid.mean", ())


@pytest.mark.parametrize(
    "text",
    [
        "tokens = model.to_tokens(prompt)",
        "the token: 12345678 is S2",
        "api_key = os.environ['OPENAI_API_KEY']",
        "passwords are never logged",
        "secret_key: required_for_upload",
        "accuracy/loss/kl over 3/4/5 seeds and n/a/b",
        "results/ablation.json and ./logs/plan.md and ../x/y/z",
        "https://example.org/home/ann/index.html",
        "#!/usr/bin/env python3",
        "x = (a+b)/2/3/4",
        "blocks.9.attn.hook_z at END->S2, 10% / 20% / 30%",
        "sha256:" + "ab12" * 16,
        "W_U@resid.T and y@z.mean(0)",
        "sk-learn is a library; hf_model too",
        "ratio C:D",
        "a / b / c / d",
    ],
)
def test_what_only_looks_alike_stays(text):
    assert redacted(text, prose=True) == (text, ())


@pytest.mark.parametrize(
    "piece",
    ["/a", "a@", "a.", "-----BEGIN PRIVATE KEY-----", "C:\\", "a\\", "api_key=", "sk-", "eyJ", "://a:", "bearer "],
)  # fmt: skip
def test_a_hostile_document_is_not_slow(piece):
    text = "C:\\" + piece * (300_000 // len(piece)) + "@"
    started = time.perf_counter()
    redacted(text, prose=True)
    assert time.perf_counter() - started < 5  # 0.2 s here; quadratic would be minutes
