"""Language models read by their hidden states: a ridge on what they hold before they answer."""

from mllm_eval.hidden.system import MLLM_HIDDEN

__all__ = ["MLLM_HIDDEN"]
