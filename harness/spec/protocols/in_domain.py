"""Train, select and test within one dataset on its official split.

One rule for every system: the checkpoint with the lowest validation MAE (earliest on ties), the
same patience for all, test predictions made by the runner and never seen by model code.
"""

from harness.spec import Protocol

IN_DOMAIN = Protocol(
    name="in_domain",
    title="In-domain, official split",
    selection_metric="mae",
    max_epochs=100,  # MMSA has no ceiling, its early stop acts long before; longer schedules stand
    patience=8,  # MMSA 2.2.1, all systems but ALMT and TFR-Net
    seeds=(1111, 1112, 1113, 1114, 1115, 1116, 1117, 1118, 1119, 1120),
)
