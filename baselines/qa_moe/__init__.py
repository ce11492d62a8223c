"""QA-MoE (ACL 2026): a modality says how sure it is; doubt leads to a prior and other experts."""

from baselines.qa_moe.system import QA_MOE, QA_MOE_CODE

__all__ = ["QA_MOE", "QA_MOE_CODE", "parts", "system"]
