"""One checkpoint under every condition of the reliability spectrum.

Trained, selected and seeded as in domain; the test split is then answered under each condition of a
grid. The rules of the tracks:

- **one checkpoint**: the same weights answer every cell. Every row of a board.
- **per condition**: a row whose ``training_corruption`` is a condition counts in that cell alone,
  as what retraining for it would reach.
- **unseen corruption**: families that no training clip went through. Every family for rows trained
  on clean clips, ``block`` for those trained under ``spectrum``.

Rows trained on clean clips, and on clips under different laws, are ranked apart. What a suite may
change: ``corruption`` (the grid), ``selection_corruption`` (what the validation clips that choose
the epoch go through).
"""

from harness.spec import Protocol
from harness.spec.protocols.in_domain import IN_DOMAIN

RELIABILITY = Protocol(
    name="reliability",
    title="Reliability spectrum, one checkpoint",
    kind="reliability",
    corruption="spectrum",
    selection_metric=IN_DOMAIN.selection_metric,
    max_epochs=IN_DOMAIN.max_epochs,
    patience=IN_DOMAIN.patience,
    seeds=IN_DOMAIN.seeds,
)

LNLN = Protocol(
    name="reliability_lnln",
    title="LNLN's missing rates, literally",
    kind="reliability",
    corruption="lnln@published",
    selection_metric=IN_DOMAIN.selection_metric,  # LNLN itself selects on test, at rate 0.5
    max_epochs=IN_DOMAIN.max_epochs,
    patience=IN_DOMAIN.patience,
    seeds=IN_DOMAIN.seeds,
)
