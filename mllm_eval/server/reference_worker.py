"""Answers chat requests with transformers, greedily, one JSON line each; the reference of servers.

A request without ``max_tokens`` is for the hidden state before an answer.

``python reference_worker.py WEIGHTS REVISION DTYPE`` reads requests on standard input and writes
answers to standard output. It runs in the server's environment and therefore imports nothing of
ours.
"""

from __future__ import annotations

import base64
import io
import json
import sys
import wave
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from transformers import BatchFeature

__all__ = ["Model", "main"]

_THINKERS = {
    "qwen2_5_omni": "Qwen2_5OmniThinkerForConditionalGeneration",
    "qwen3_omni_moe": "Qwen3OmniMoeThinkerForConditionalGeneration",
}
"""Of models that also speak: the part that writes, which is all that a server loads."""
_PROCESSORS = ("processor_config.json", "preprocessor_config.json")


class Model:
    """Weights, tokenizer or processor, and how to ask them.

    Args:
        weights: Folder or hub id.
        revision: Commit on the hub; ignored for a folder.
        dtype: What it computes in; ``auto``: what the weights are stored in.
    """

    def __init__(self, weights: str, revision: str, dtype: str = "auto") -> None:
        import torch
        import transformers

        where: dict[str, Any] = {} if Path(weights).is_dir() else {"revision": revision}
        self._multimodal = _has_processor(weights, where)
        reader = transformers.AutoProcessor if self._multimodal else transformers.AutoTokenizer
        self._reader = reader.from_pretrained(weights, **where)
        self._tokenizer = getattr(self._reader, "tokenizer", self._reader)
        kind = transformers.AutoConfig.from_pretrained(weights, **where).model_type
        model = getattr(transformers, _class_name(kind, self._multimodal))
        self._model = model.from_pretrained(weights, dtype=dtype, **where)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model.to(device).eval()

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The greedy answer to a request, with the log-probabilities that it asks for."""
        import torch

        inputs = self._inputs(request).to(self._model.device)
        asked = inputs["input_ids"].shape[1]
        with torch.inference_mode():
            output = self._model.generate(
                **inputs,
                **{"do_sample": False, "temperature": None, "top_p": None, "top_k": None},
                **{"repetition_penalty": 1.0, "max_new_tokens": request["max_tokens"]},
                **{"return_dict_in_generate": True, "output_logits": True},
            )
        said = output.sequences[0, asked:]
        steps = zip(said.tolist(), output.logits, strict=True)
        most = int(request.get("top_logprobs", 0))
        ends = self._model.generation_config.eos_token_id
        stopped = said[-1].item() in (ends if isinstance(ends, list) else [ends])
        return {
            "text": self._decoded(said),
            "finish_reason": "stop" if stopped else "length",
            "logprobs": [self._choices(token, step[0], most) for token, step in steps],
        }

    def hidden(self, request: Mapping[str, Any]) -> list[float]:
        """The last layer's normalised state behind the last token of a conversation."""
        import torch

        with torch.inference_mode():
            output = self._model(
                **self._inputs(request).to(self._model.device),
                output_hidden_states=True,
                logits_to_keep=1,
            )
        state: list[float] = output.hidden_states[-1][0, -1].float().tolist()  # (H,)
        return state

    def _choices(self, token: int, logits: torch.Tensor, most: int) -> list[tuple[str, float]]:
        """The token said, then the most probable others."""
        if not most:
            return []
        values = logits.float().log_softmax(-1)
        ranked = [t for t in values.topk(most).indices.tolist() if t != token]
        return [(self._decoded([t]), float(values[t])) for t in (token, *ranked)]

    def _decoded(self, tokens: Sequence[int] | torch.Tensor) -> str:
        """Their text; a character cut short at the end is left out, as servers do."""
        text: str = self._tokenizer.decode(tokens, skip_special_tokens=True)
        return text.rstrip("\N{REPLACEMENT CHARACTER}")

    def _inputs(self, request: Mapping[str, Any]) -> BatchFeature:
        template = {"add_generation_prompt": True, **request.get("chat_template_kwargs", {})}
        messages = request["messages"]
        if not self._multimodal:
            plain = [{**m, "content": _words(m["content"])} for m in messages]
            tensors = {"tokenize": True, "return_dict": True, "return_tensors": "pt"}
            return self._tokenizer.apply_chat_template(plain, **template, **tensors)
        marked = [{**m, "content": [_mark(part) for part in _parts(m)]} for m in messages]
        text = self._reader.apply_chat_template(marked, tokenize=False, **template)
        media: dict[str, list[Any]] = {}
        for message in messages:
            for part in _parts(message):
                for kind, item in _decoded(part):
                    media.setdefault(kind, []).append(item)
        return self._reader(text=[text], return_tensors="pt", padding=True, **media)


def _has_processor(weights: str, where: Mapping[str, Any]) -> bool:
    if Path(weights).is_dir():
        return any((Path(weights) / name).is_file() for name in _PROCESSORS)
    from huggingface_hub import file_exists

    return any(file_exists(weights, name, **where) for name in _PROCESSORS)


def _class_name(kind: str, multimodal: bool) -> str:
    default = "AutoModelForMultimodalLM" if multimodal else "AutoModelForCausalLM"
    return _THINKERS.get(kind, default)


def _parts(message: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _words(content: str | Sequence[Mapping[str, Any]]) -> str:
    """The text of a message as servers join it for models without media."""
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part["type"] == "text")


def _mark(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """A part as chat templates know it: media by kind alone."""
    kind = {"image_url": "image", "input_audio": "audio"}.get(part["type"])
    return part if kind is None else {"type": kind}


def _decoded(part: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The processor's argument that a media part goes to, and the picture or sound."""
    if part["type"] == "image_url":
        from transformers.image_utils import load_image

        yield "images", load_image(part["image_url"]["url"])
    elif part["type"] == "input_audio":
        import numpy as np

        with wave.open(io.BytesIO(base64.b64decode(part["input_audio"]["data"]))) as sound:
            samples = np.frombuffer(sound.readframes(sound.getnframes()), dtype="<i2")
        yield "audio", samples.astype(np.float32) / 32768


def main(weights: str, revision: str, dtype: str) -> None:
    """Answer until standard input ends; standard output carries answers alone."""
    answers, sys.stdout = sys.stdout, sys.stderr
    model = Model(weights, revision, dtype)
    for line in sys.stdin:
        request = json.loads(line)
        asked = model.answer if "max_tokens" in request else model.hidden
        answers.write(json.dumps(asked(request)) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
