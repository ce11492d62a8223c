"""What the released code calls the weights of TEXT: tables that rename ours."""

from __future__ import annotations

import re
from collections.abc import Mapping

from text_model.model import TextModel

__all__ = ["released_names"]

_COMPONENTS = {  # the first that fits counts
    "text_encoder.network.": "bertmodel.model.",
    "encoders.text.project.": "proj_t0.",
    "encoders.text.": "proj_t.",
    "encoders.audio.project.": "proj_a0.",
    "encoders.audio.": "proj_a_feat.",
    "encoders.vision.project.": "proj_v0.",
    "encoders.vision.": "proj_v_feat.",
    "encoders.audio_clue.project.": "proj_a_clue0.",
    "encoders.audio_clue.": "proj_a_clue.",
    "encoders.visual_clue.project.": "proj_v_clue0.",
    "encoders.visual_clue.": "proj_v_clue.",
    "alignment.audio.": "corss_fusion_audio.",  # spelled so
    "alignment.vision.": "corss_fusion_visual.",
    "temporal.audio.": "cross_align_a_v.audio_",
    "temporal.vision.": "cross_align_a_v.visual_",
    "routed.": "text_router_moe_trans.",
    "head.gate.": "cls_head.gate.0.",
    "head.regress.": "cls_head.cls_head.",
}
_PARTS: Mapping[str, Mapping[str, str]] = {  # right behind the component
    "encoders": {
        "token": "extra_token",
        "position": "pos_embedding",
        "layer.": "encoder.layers.0.",
    },
    "alignment": {
        "source_position": "pos_embedding_s",
        "target_position": "pos_embedding_t",
        "layer.": "CrossTransformerEncoder.layers.0.",
    },
    "temporal": {"norm": "RMSNorm", "project": "in_proj", "conv": "conv1d", "out": "out_proj"},
    "routed": {"position": "pos_embedding", "layers.": "encoder.layers."},
}
_IN_A_LAYER = {  # regular expressions
    r"\.attention\.norm_": ".0.norm_",
    r"\.attention\.to_": ".0.fn.to_",
    r"\.attention\.out\.": ".0.fn.to_out.0.",
    r"\.norm\.": ".1.norm.",
    r"\.feed\.0\.": ".1.fn.net.0.",
    r"\.feed\.2\.": ".1.fn.net.3.",  # the released layers count a dropout between
    r"\.mixture\.router\.choice\.": ".1.fn.router.topkroute_linear.",
    r"\.mixture\.router\.noise\.": ".1.fn.router.noise_linear.",
    r"\.mixture\.experts\.(\d+)\.0\.": r".1.fn.experts.\1.net.0.",
    r"\.mixture\.experts\.(\d+)\.2\.": r".1.fn.experts.\1.net.3.",
}


def released_names(network: TextModel) -> dict[str, str]:
    """Our name of every tensor of a network -> its name in a released checkpoint.

    Tensors that only an ablation has keep our names.
    """
    return {name: _released(name) for name in network.state_dict()}


def _released(name: str) -> str:
    component = next((part for part in _COMPONENTS if name.startswith(part)), "")
    inside = _renamed(name.removeprefix(component), _PARTS.get(name.partition(".")[0], {}))
    whole = _COMPONENTS.get(component, "") + inside
    for ours, theirs in _IN_A_LAYER.items():
        whole = re.sub(ours, theirs, whole)
    return whole


def _renamed(name: str, parts: Mapping[str, str]) -> str:
    """The name with its beginning replaced, where the table has it."""
    for ours, theirs in parts.items():
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    return name
