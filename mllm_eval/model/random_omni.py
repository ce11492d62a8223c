"""A tiny Qwen2.5-Omni "thinker" with random weights, which vLLM and transformers load.

It has the released model's architecture and processors at 0.2 million parameters, and a tokenizer
of single bytes. Everything is made here; nothing is fetched.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

__all__ = ["VERSION", "write"]

VERSION: Final = "2"
_SEED: Final = 0
_HIDDEN: Final = 64
_SPREAD: Final = 8.0
"""Times the usual initial weights, so that every input moves the answer by more than rounding."""
_SAID: Final = "ABCDEFG0123456789+-."
"""What it mostly answers with: what scores are read from."""
_VOCABULARY: Final = 320  # 256 bytes, the special tokens, and room
_LONGEST: Final = 32768  # tokens

_WORDS: Final = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_MEDIA: Final = {
    "image_token": "<|IMAGE|>",
    "video_token": "<|VIDEO|>",
    "audio_token": "<|AUDIO|>",
    "vision_bos_token": "<|vision_bos|>",
    "vision_eos_token": "<|vision_eos|>",
    "audio_bos_token": "<|audio_bos|>",
    "audio_eos_token": "<|audio_eos|>",
}
_CHAT_TEMPLATE: Final = """\
{%- for message in messages %}<|im_start|>{{ message.role }}
{% if message.content is string %}{{ message.content }}
{%- else %}{%- for part in message.content %}
{%- if part.type.startswith('image') %}<|vision_bos|><|IMAGE|><|vision_eos|>
{%- elif part.type.startswith('video') %}<|vision_bos|><|VIDEO|><|vision_eos|>
{%- elif 'audio' in part.type %}<|audio_bos|><|AUDIO|><|audio_eos|>
{%- else %}{{ part.text }}{% endif %}
{%- endfor %}{% endif %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""

_PICTURES: Final = {
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.25, 0.25, 0.25],
    "patch_size": 14,
    "temporal_patch_size": 2,
    "merge_size": 2,
    "min_pixels": 56 * 56,
    "max_pixels": 112 * 112,
    "size": {"shortest_edge": 56 * 56, "longest_edge": 112 * 112},
}
_SOUND: Final = {
    "feature_extractor_type": "WhisperFeatureExtractor",
    "feature_size": 128,
    "sampling_rate": 16000,
    "hop_length": 160,
    "n_fft": 400,
    "chunk_length": 30,
    "n_samples": 480000,
    "nb_max_frames": 3000,
    "padding_side": "right",
    "padding_value": 0.0,
    "return_attention_mask": True,
}
_PROCESSOR: Final = {"processor_class": "Qwen2_5OmniProcessor"}


def write(target: Path) -> None:
    """Write configuration, tokenizer, processors and weights into ``target``."""
    ids = _write_tokenizer(target)
    _write_processors(target)
    _write_model(target, ids)


def _symbols() -> list[str]:
    """One symbol per byte, in the order of their tokens; printable ASCII stands for itself."""
    from tokenizers import pre_tokenizers

    return sorted(pre_tokenizers.ByteLevel.alphabet())


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1, default=str), encoding="utf-8")


def _write_tokenizer(target: Path) -> dict[str, int]:
    """One token per byte and the special ones; returns the ids of those."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    vocabulary = {symbol: i for i, symbol in enumerate(_symbols())}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = (*_WORDS, *_MEDIA.values())
    tokenizer.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in special])
    tokenizer.save(str(target / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": _LONGEST,
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "clean_up_tokenization_spaces": False,
        "extra_special_tokens": _MEDIA,
        **_MEDIA,
    }
    _write_json(target / "tokenizer_config.json", settings)
    (target / "chat_template.jinja").write_text(_CHAT_TEMPLATE, encoding="utf-8")
    return {token: int(tokenizer.token_to_id(token) or 0) for token in special}


def _write_processors(target: Path) -> None:
    pictures = {"image_processor_type": "Qwen2VLImageProcessor", **_PICTURES}
    video = {
        "video_processor_type": "Qwen2VLVideoProcessor",
        **{"min_frames": 2, "max_frames": 8, "fps": 2.0, "do_sample_frames": False},
        **_PICTURES,
    }
    _write_json(target / "preprocessor_config.json", {**pictures, **_SOUND, **_PROCESSOR})
    _write_json(target / "video_preprocessor_config.json", {**video, **_PROCESSOR})


def _write_model(target: Path, ids: Mapping[str, int]) -> None:
    import torch
    from safetensors.torch import save_file
    from transformers import Qwen2_5OmniThinkerConfig, Qwen2_5OmniThinkerForConditionalGeneration

    config = Qwen2_5OmniThinkerConfig(
        audio_config=_audio_tower(),
        vision_config=_vision_tower(),
        text_config=_language_model(ids),
        **_token_ids(ids),
    )
    with torch.random.fork_rng():
        torch.manual_seed(_SEED)
        model = Qwen2_5OmniThinkerForConditionalGeneration(config)
    said = [token for token, symbol in enumerate(_symbols()) if symbol in _SAID]
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:  # not biases and norms
                parameter.mul_(_SPREAD)
        spoken = torch.zeros_like(model.lm_head.weight)
        spoken[said] = model.lm_head.weight[said]
        model.lm_head.weight.copy_(spoken)
    model.to(torch.bfloat16)
    tensors = model.state_dict().items()
    weights = {_released_name(name): value.clone().contiguous() for name, value in tensors}
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    thinker = {**config.to_diff_dict(), "model_type": "qwen2_5_omni_thinker"}
    whole = {
        "architectures": ["Qwen2_5OmniModel"],
        "model_type": "qwen2_5_omni",
        "enable_audio_output": False,
        "dtype": "bfloat16",
        "thinker_config": thinker,
    }
    _write_json(target / "config.json", whole)
    ending = {"eos_token_id": ids["<|im_end|>"], "pad_token_id": ids["<|endoftext|>"]}
    _write_json(target / "generation_config.json", ending)


def _audio_tower() -> dict[str, Any]:
    return {
        "num_mel_bins": 128,
        "d_model": 32,
        "encoder_layers": 2,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 64,
        "max_source_positions": 1500,
        "n_window": 100,
        "output_dim": _HIDDEN,
    }


def _vision_tower() -> dict[str, Any]:
    return {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 2,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "window_size": 112,
        "out_hidden_size": _HIDDEN,
        "fullatt_block_indexes": [1],
    }


def _language_model(ids: Mapping[str, int]) -> dict[str, Any]:
    return {
        "vocab_size": _VOCABULARY,
        "hidden_size": _HIDDEN,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": _LONGEST,
        "tie_word_embeddings": False,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 1e6,
            "mrope_section": [4, 6, 6],
        },
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
    }


def _token_ids(ids: Mapping[str, int]) -> dict[str, int]:
    return {
        "audio_token_index": ids["<|AUDIO|>"],
        "image_token_index": ids["<|IMAGE|>"],
        "video_token_index": ids["<|VIDEO|>"],
        "audio_start_token_id": ids["<|audio_bos|>"],
        "audio_end_token_id": ids["<|audio_eos|>"],
        "vision_start_token_id": ids["<|vision_bos|>"],
        "vision_end_token_id": ids["<|vision_eos|>"],
        "user_token_id": ids["<|im_start|>"],
    }


def _released_name(name: str) -> str:
    """A tensor's name as in released checkpoints; transformers 5 has one level more."""
    for tower, released in (("language_model", "model"), ("audio_tower", None), ("visual", None)):
        if name.startswith(f"model.{tower}."):
            name = f"{released or tower}.{name.removeprefix(f'model.{tower}.')}"
    return f"thinker.{name}"
