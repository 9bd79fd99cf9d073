"""transformer_lens: hook names, heads, caches and patching utilities, and the shipped example."""

import shutil
from pathlib import Path

import pytest
from traced_runs import Traced, run, write

EXAMPLE = Path(__file__).parents[4] / "examples" / "induction_heads"

SCRIPT = """
import torch
from functools import partial
from transformer_lens import TransformerBridge, TransformerBridgeConfig, patching

torch.manual_seed(0)
config = TransformerBridgeConfig(
    d_model=32, d_head=8, n_layers=2, n_ctx=16, n_heads=4, d_vocab=20, act_fn="relu",
    attn_only=True, normalization_type=None, seed=1,
)
model = TransformerBridge.boot_native(config).eval()
for parameter in model.parameters():
    torch.nn.init.normal_(parameter, std=0.3)
tokens, other = torch.randint(0, 20, (2, 5, 8))
with torch.no_grad():
    _, cache = model.run_with_cache(tokens)                              # 0
    _, corrupt = model.run_with_cache(other)                             # 1

    def zero(z, hook):
        z[:, :, 1] = 0.0
        return z

    def mean(z, hook):
        z = z.clone()
        z[:, :, 2] = cache["blocks.0.attn.hook_z"][:, :, 2].mean(0)
        return z

    def patch(z, hook, head):
        z = z.clone()
        z[:, 3, head] = corrupt[hook.name][:, 3, head]
        return z

    run = partial(model.run_with_hooks, tokens)
    run(fwd_hooks=[("blocks.1.attn.hook_z", zero)])                      # 2
    run(fwd_hooks=[("blocks.0.attn.hook_z", mean)])                      # 3
    run(fwd_hooks=[("blocks.1.attn.hook_z", partial(patch, head=3))])    # 4
    run(fwd_hooks=[("blocks.0.hook_out", lambda value, hook: None)])     # 5
    model(tokens)                                                        # 6
    patching.get_act_patch_attn_head_out_all_pos(
        model, other, cache, lambda logits: logits[:, -1, 0].mean()
    )                                                                    # 7 to 14
"""


@pytest.fixture(scope="module")
def lens(tmp_path_factory: pytest.TempPathFactory) -> Traced:
    return run(write(tmp_path_factory.mktemp("lens") / "bundle", {"main.py": SCRIPT}), "main.py")


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Traced]:
    """One experiment of the shipped example, with its own and with permuted weights."""
    found = {}
    for sham in ("none", "headperm", "shuffle"):
        folder = tmp_path_factory.mktemp(sham) / "bundle"
        shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("logs", "__pycache__"))
        few = folder / "experiments" / "few.py"
        few.write_text(FEW)
        found[sham] = run(folder, "experiments/few.py", "--sham", sham, "--sham-seed", "4")
    return found


FEW = """
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from measure import EVALUATION_SEED, Study

study = Study(EVALUATION_SEED, n=64)
clean = study.logit_diff(study.clean_logits)
print(f"clean {clean.mean().item():.3f} 12.345")
for head in range(study.n_heads):
    drop = clean - study.logit_diff(study.edited([(1, head)], "resample"))
    print(f"a1.h{head} {drop.mean().item():.3f}")
"""


def test_every_forward_is_one_row(lens: Traced) -> None:
    assert lens.code == 0, lens.stderr
    assert (lens.ledger.standing, lens.ledger.faults) == ("complete", 0), lens.ledger.problems
    assert [row.id for row in lens.ledger.forwards] == list(range(15))
    assert {row.part for row in lens.ledger.forwards} == {""}
    assert {(model.of, model.heads) for model in lens.ledger.models} == {("TransformerBridge", 4)}


def test_caching_reads_every_site_and_edits_none(lens: Traced) -> None:
    first = lens.ledger.forwards[0]
    assert first.edits == 0
    sites = {lens.ledger.hooks[hook].site for hook in first.reads}
    assert {"blocks.0.attn.hook_pattern", "blocks.1.attn.o.hook_in"} <= sites
    assert lens.ledger.forwards[5].edits == lens.ledger.forwards[6].edits == 0


@pytest.mark.parametrize(
    ("forward", "site", "kind", "heads", "positions", "source"),
    [
        (2, "blocks.1.attn.o.hook_in", "zero", "1", "all", None),
        (3, "blocks.0.attn.o.hook_in", "mean", "2", "all", 0),
        (4, "blocks.1.attn.o.hook_in", "copy", "3", "3", 1),
    ],
)
def test_edits_name_site_head_and_source(
    lens: Traced,
    forward: int,
    site: str,
    kind: str,
    heads: str,
    positions: str,
    source: int | None,
) -> None:
    (edit,) = lens.ledger.edited(lens.ledger.forwards[forward])
    found = (edit.site, edit.kind, edit.heads, edit.positions)
    assert found == (site, kind, heads, positions)
    # the mean is that of forward 0, which the edited run repeats up to the edit
    assert edit.source in ({source} if kind != "mean" else {0, forward})
    assert lens.ledger.hooks[edit.hook].function.startswith("main.py:")


def test_patching_utility_patches_every_head(lens: Traced) -> None:
    edits = [edit for edit in lens.ledger.edits if edit.forward >= 7]
    assert {edit.kind for edit in edits} == {"copy"}
    assert {edit.source for edit in edits} == {0}
    assert [edit.heads for edit in edits] == ["0", "1", "2", "3"] * 2


def test_example_loads_are_on_record(example: dict[str, Traced]) -> None:
    real = example["none"]
    assert real.code == 0, real.stderr
    assert real.ledger.standing == "complete", real.ledger.problems
    (load,) = real.ledger.loads
    assert (load.how, load.source) == ("safetensors.load_file", "model/model.safetensors")
    held = {tensor.content for tensor in real.ledger.models[0].tensors}
    assert {tensor.content for tensor in load.tensors} >= held  # half precision in the file
    assert {edit.kind for edit in real.ledger.edits} == {"copy"}
    assert not real.ledger.sham_applied


def test_permuted_heads_keep_clean_numbers_and_move_effects(example: dict[str, Traced]) -> None:
    sham = example["headperm"].ledger
    assert sham.sham_applied, sham.shams
    (row,) = sham.shams
    order = row.permutations["1"]
    assert sorted(order) == list(range(8))
    assert all(slot != head for slot, head in enumerate(order))
    real, moved = (example[name].stdout.split("\n") for name in ("none", "headperm"))
    assert moved[0] == real[0]
    drops = [
        {line.split()[0]: float(line.split()[1]) for line in lines[1:] if line}
        for lines in (real, moved)
    ]
    for slot, head in enumerate(order):
        assert drops[1][f"a1.h{slot}"] == pytest.approx(drops[0][f"a1.h{head}"], abs=2e-3)
    assert max(drops[0].values()) > 1.0  # an effect that could have stayed where it was


def test_shuffled_weights_change_what_is_measured(example: dict[str, Traced]) -> None:
    assert example["shuffle"].ledger.sham_applied
    real, sham = (
        [token for row in example[name].ledger.printed for token in row.numbers]
        for name in ("none", "shuffle")
    )
    assert real[0] != sham[0]
    assert real[1] == sham[1] == "12.345"  # typed by hand: follows no weights
