"""Zero-shot language models as systems: they give a score, no label of the dataset seen."""

from mllm_eval.zero_shot.system import MLLM

__all__ = ["MLLM", "survey", "system"]
