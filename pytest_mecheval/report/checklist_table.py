"""Which of our tests answer which item of the published checklist (Bai et al. 2026, arXiv 2602.18458).

One row per published key. `kinds` are the tests whose claims bear on the item. A refuted one fails it; a
supported one passes it only where the row says that such tests can establish the item, because most items
speak of *every* block or step, which no single test shows. What a row lacks stands in `missing`, and becomes
the rationale of NA. `every` items also need that nothing of their kind was stated without a test.
"""

from dataclasses import dataclass

CONCLUSIONS = (
    "ablation",
    "attention",
    "attribution",
    "faithfulness",
    "negative",
    "patching",
    "ranking",
    "reported_number",
    "scope",
)
"""Kinds whose claims are conclusions about the model, measured by us."""
EFFECTS = ("ablation", "attribution", "faithfulness", "patching", "ranking")
"""Kinds whose claims say that an effect is there, against a threshold and matched controls."""


@dataclass(frozen=True, slots=True)
class Item:
    """One key of the checklist."""

    key: str
    """As published."""
    passes: str
    """The item passes if and only if this holds, in our words."""
    kinds: tuple[str, ...] = ()
    can_pass: bool = False
    """Whether supported claims of these kinds establish the item; else they can only fail it."""
    every: tuple[str, ...] = ()
    """Kinds of statements (`plan_step`, `not_testable`) that must not have been left without a test."""
    stated_only: bool = False
    """Claims with fields that the evaluator had to fill in do not count as passing."""
    missing: str = ""
    """What we do not test; the rationale of NA."""


NO_INSTRUCTOR = "no instructor's goal or hypothesis is part of a bundle, so nothing can be compared"
ITEMS = (
    Item(
        "C1_All_Runnable",
        "every core code block runs",
        ("runnable",),
        can_pass=True,
        missing="no claim of kind runnable names an entry point",
    ),
    Item(
        "C2_All_Correct",
        "every core code block is correct",
        ("depends_on_edit", "evidence_level", "hard_coded", "provenance"),
        missing="tests can show a defect of a block, not that every block is correct",
    ),
    Item(
        "C3_No_Redundant",
        "no core code block is redundant",
        missing="no check looks for redundant code",
    ),
    Item(
        "C4_No_Irrelevant",
        "every core code block is relevant to the goal",
        missing="no check judges the relevance of code",
    ),
    Item(
        "CS1_Results_vs_Conclusion",
        "every conclusion matches the results",
        (
            *CONCLUSIONS,
            "consistency",
            "depends_on_edit",
            "hard_coded",
            "provenance",
            "reproduced_number",
            "structure",
        ),
        can_pass=True,
        every=("not_testable",),
        missing="no stated conclusion was tested",
    ),
    Item(
        "CS2_Plan_vs_Implementation",
        "every step of the plan is in the code that ran",
        ("plan_step",),
        can_pass=True,
        every=("plan_step",),
        missing="no plan step says what a run would have to show (`requires`)",
    ),
    Item(
        "CS3_Effect_Size",
        "effects are clearly non-trivial",
        EFFECTS,
        can_pass=True,
        missing="no claim about an effect was tested against a threshold and controls",
    ),
    Item(
        "CS4_Justification",
        "design choices and intermediate conclusions are justified",
        ("data_separation", "evidence_level", "faithfulness", "validation_strength"),
        missing="tests can show a causal sentence without an intervention, not that choices are justified",
    ),
    Item(
        "CS5_Statistical_Significance",
        "key results carry uncertainty, explained",
        ("uncertainty",),
        can_pass=True,
        missing="no claim of kind uncertainty names a headline number; ours is in decisions.json",
    ),
    Item("TS1_sgoal_vs_igoal", "the plan's goal is the instructor's", missing=NO_INSTRUCTOR),
    Item("TS2_splan_vs_igoal", "the plan follows the instructor's goal", missing=NO_INSTRUCTOR),
    Item("TS3_implementation_vs_ihypo", "every given hypothesis is tested", missing=NO_INSTRUCTOR),
    Item(
        "TS4_circuit_vs_ihypofunc",
        "every component's tests confirm its claimed function",
        ("ablation", "attention", "attribution", "patching"),
        can_pass=True,
        missing="no claim gives a component a function that was tested",
    ),
    Item(
        "RP1_ImplementationReconstructability",
        "the implementation can be rebuilt without guesswork",
        ("reported_number",),
        can_pass=True,
        stated_only=True,
        missing="no stated number was measured again by code that is not the bundle's",
    ),
    Item(
        "RP2_EnvironmentReproducibility",
        "the environment can be restored",
        ("runnable",),
        missing="scripts ran with the interpreter pytest runs in; the bundle's environment is not rebuilt",
    ),
    Item(
        "RP3_DeterminismAndStability",
        "results are stable over runs, seeds are controlled",
        ("determinism",),
        can_pass=True,
        missing="no claim of kind determinism compares two runs",
    ),
    Item(
        "DE1_ResultFidelity",
        "replicated results agree (published: within 5 %; here: as the text rounds)",
        ("reported_number",),
        can_pass=True,
        missing="no stated number was measured again",
    ),
    Item(
        "DE2_ConclusionConsistency",
        "the replication's conclusions are the bundle's",
        CONCLUSIONS,
        can_pass=True,
        missing="no conclusion was measured again",
    ),
    Item(
        "DE3_NoExternalInformation",
        "nothing was invented in the replication",
        missing="it is about whoever replicates; our engine measures only what a claim's spec says",
    ),
    Item(
        "GT1_ModelGeneralization",
        "the finding holds on a new model",
        missing="no check loads a second model",
    ),
    Item(
        "GT2_DataGeneralization",
        "the finding holds on new data",
        ("scope",),
        can_pass=True,
        missing="no claim of kind scope names strata beyond the stated distribution",
    ),
    Item(
        "GT3_MethodGeneralization",
        "the method works on a similar task",
        missing="no check applies the bundle's method to another task",
    ),
)
"""All published keys, in their published order."""
ONLY_FAIL = frozenset({"structure"})
"""Kinds that can fail an item but never carry one: that a list is well formed says nothing of the model."""
UNMAPPED: dict[str, str] = {}
"""Kinds that bear on no item, with the reason; every other kind must stand in some row."""
