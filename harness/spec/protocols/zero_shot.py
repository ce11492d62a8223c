"""Score test clips with models that learn from no label of the dataset.

The fields of training say what the trained rows beside them do: the same as in-domain, so that they
are the same runs. Ranks are never mixed; pairs across the tables are shown and marked.
"""

from harness.spec import Protocol

ZERO_SHOT = Protocol(
    name="zero_shot",
    title="Zero-shot, official test split",
    kind="zero_shot",
    supervision="none",
    selection_metric="mae",
    max_epochs=100,
    patience=8,
    seeds=(1111, 1112, 1113, 1114, 1115, 1116, 1117, 1118, 1119, 1120),
)
