"""Train on some datasets, test on another that nothing was learned from.

Runs are those of transfer corpora (``harness.data.transfer.compose``): single-source pairs,
leave-one-out, and the in-domain bound of each target. Training, patience and seeds are as
in-domain, so that the bound differs from an in-domain run in nothing but its label scale.

Selection is DomainBed's training-domain validation: epoch and, where an algorithm has several
settings, the setting are chosen on the union of the sources' validation clips. Its two other rules
are computed from the same runs by the board: leave-one-domain-out, and the oracle, which looks at
test labels and is shown, never ranked. Every trained algorithm has exactly ``settings`` tries.

Source:
    Gulrajani, Lopez-Paz. In Search of Lost Domain Generalization. ICLR 2021.
"""

from harness.spec import Protocol

DOMAIN_GENERALIZATION = Protocol(
    name="domain_generalization",
    title="Domain generalisation: train on other datasets, official test split",
    kind="domain_generalization",
    selection_metric="mae",
    max_epochs=100,
    patience=8,
    settings=1,
    seeds=(1111, 1112, 1113, 1114, 1115, 1116, 1117, 1118, 1119, 1120),
)
