import stat

import pytest
import yaml

from pytest_mecheval.bundle.discovery import discover
from pytest_mecheval.claims.reading import problems_of, read_claims
from pytest_mecheval.claims.staleness import restamp
from pytest_mecheval.errors import ClaimFileError, StaleClaimsError


@pytest.fixture
def change(root):
    """Edits a document without touching what is quoted."""

    def append(path="logs/plan.md", text="\nSee also the notes.\n"):
        target = root / path
        target.write_text((target.read_text() if target.exists() else "") + text)
        return discover(root)

    return append


def test_a_fresh_file_is_left_alone(claim_file, bundle, fresh):
    path = claim_file(fresh)
    before = path.stat().st_mtime_ns
    assert restamp(path, bundle) == ()
    assert (path.read_text(), path.stat().st_mtime_ns) == (fresh, before)


def test_only_the_changed_hash_is_rewritten(claim_file, bundle, fresh, change):
    path = claim_file(fresh)
    path.chmod(0o640)
    changed = change()
    old, new = bundle.sha256_of("logs/plan.md"), changed.sha256_of("logs/plan.md")
    assert restamp(path, changed) == ("logs/plan.md",)
    assert path.read_text() == fresh.replace(old, new)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert read_claims(path, changed).documents["logs/plan.md"] == f"sha256:{new}"
    assert [entry.name for entry in path.parent.iterdir() if entry.name.startswith(".")] == []


def test_quoted_values_line_ends_and_byte_order_mark_survive(claim_file, fresh, change):
    changed = change("logs/documentation.md")
    content = b"\xef\xbb\xbf" + fresh.replace("\n", "\r\n").encode()
    path = claim_file(content)
    restamp(path, changed)
    after = path.read_bytes()
    new = f"sha256:{changed.sha256_of('logs/documentation.md')}".encode()
    assert new in after
    assert after.startswith(b"\xef\xbb\xbf# written by hand")
    assert after.count(b"\r\n") == content.count(b"\r\n")
    assert after.count(b"\n") == content.count(b"\n")
    assert problems_of(path, changed)[1] == []


def test_a_new_plan_version_makes_claims_stale_and_restamp_lists_it(claim_file, fresh, change):
    path = claim_file(fresh)
    changed = change("logs/plan_v2.md", "- Another step.\n")
    with pytest.raises(StaleClaimsError, match=r"logs/plan_v2.md not listed since"):
        read_claims(path, changed)
    assert restamp(path, changed) == ("logs/plan_v2.md",)
    line = f"  logs/plan_v2.md: sha256:{changed.sha256_of('logs/plan_v2.md')}\n"
    assert path.read_text() == fresh.replace("subject:\n", line + "subject:\n")
    assert read_claims(path, changed).documents.keys() >= {"logs/plan_v2.md"}


@pytest.mark.parametrize(
    "documents",
    [
        "documents: {}",
        "documents:",
        "documents: ~",
        "documents: {  }  # none yet",
        "documents: {logs/plan.md: x}",
        "documents: {logs/plan.md: x, }",
        "documents: {\n  logs/plan.md: 'x',\n  logs/documentation.md: x\n  }",
        "documents:\n    logs/documentation.md:\n    'logs/plan.md': \"y\" # c",
        "documents:\n  logs/plan.md: x",
    ],
)
def test_every_way_to_write_documents_can_be_stamped(claim_file, bundle, fresh, documents):
    start, end = fresh.index("documents:"), fresh.index("subject:")
    text = f"{fresh[:start]}{documents}\n{fresh[end:]}"
    path = claim_file(text)
    assert set(restamp(path, bundle)) == {"logs/plan.md", "logs/documentation.md"}
    assert problems_of(path, bundle)[1] == []
    after = path.read_text()
    assert after.startswith(fresh[:start])
    assert after.endswith(fresh[end:])
    assert after.count("#") == text.count("#")


def test_documents_at_the_very_end_without_line_break(claim_file, bundle, fresh):
    start, end = fresh.index("documents:"), fresh.index("subject:")
    path = claim_file(fresh[:start] + fresh[end:] + "documents:\n  logs/plan.md: x")
    restamp(path, bundle)
    assert problems_of(path, bundle)[1] == []


def test_a_path_that_needs_quotes_is_written_with_them(claim_file, fresh, change):
    path = claim_file(fresh)
    changed = change("logs/plan #2: more.md", "- x\n")
    # Not a plan by name, so make it one that counts.
    assert restamp(path, changed) == ()
    changed = change("logs/plan_ #2: more.md", "- x\n")
    assert restamp(path, changed) == ("logs/plan_ #2: more.md",)
    assert "logs/plan_ #2: more.md" in yaml.safe_load(path.read_text())["documents"]


def test_a_document_that_is_gone_must_be_dealt_with_by_hand(claim_file, root, fresh):
    (root / "logs" / "plan.md").unlink()
    path = claim_file(fresh)
    with pytest.raises(ClaimFileError) as caught:
        restamp(path, discover(root))
    assert caught.value.problems == (
        "induction_heads.claims.yaml: documents: logs/plan.md is not in the bundle any more "
        "(remove its line, and the claims that quote it)",
    )
    assert path.read_text() == fresh


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", "line "),
        ("3", "missing field 'documents'"),
        ("format: 1", "missing field 'documents'"),
        ("documents: [a]", "must be a mapping"),
        ("documents: {a: 1}\ndocuments: {b: 1}", "given twice"),
    ],
)
def test_unusable_files_are_refused_unchanged(claim_file, bundle, text, problem):
    path = claim_file(text)
    with pytest.raises(ClaimFileError, match=problem):
        restamp(path, bundle)
    assert path.read_text() == text


def test_restamp_through_a_link_keeps_the_link(claim_file, fresh, change, tmp_path):
    path = claim_file(fresh)
    link = tmp_path / "link.yaml"
    link.symlink_to(path)
    restamp(link, change())
    assert link.is_symlink()
    assert path.read_text() != fresh
