"""Words of a clip: vectors of its tokens, what was heard when, and frames brought to words.

Shapes: n clips, L tokens, H hidden size, T frames, D features, W words.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness._util import canonical
from harness._util.extras import load
from harness._util.sealed import kept
from harness.data.media import decode as recording
from harness.errors import SpecError
from harness.extraction import Cut
from harness.extraction.speech import floats, told_as_data_error
from harness.text import Encoder, tokenize

__all__ = ["Ear", "Word", "over_words", "token_vectors", "word_vectors"]

_TOGETHER = 64  # texts encoded at once


@dataclass(frozen=True, kw_only=True)
class Word:
    """A word as heard; seconds from the clip's beginning."""

    text: str
    start: float
    stop: float


def token_vectors(
    encoder: Encoder, tokens: NDArray[np.int32]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Last hidden states of a frozen encoder, one per token, the special ones included.

    Args:
        encoder: Whose states.
        tokens: (n, 3, L) ids, mask, segments.

    Returns:
        (n, L, H) float32, zero behind each text's end, and (n,) lengths.
    """
    coded = torch.from_numpy(tokens).long()
    lengths = coded[:, 1].sum(1)
    network = encoder.load()
    states = torch.zeros(len(coded), coded.shape[2], encoder.hidden_size)
    with torch.inference_mode():
        for rows in torch.argsort(lengths, stable=True).split(_TOGETHER):
            longest = int(lengths[rows].max())
            ids, mask, _ = coded[rows, :, :longest].unbind(1)
            hidden = network(input_ids=ids, attention_mask=mask).last_hidden_state  # (B, L, H)
            states[rows, :longest] = hidden * mask.unsqueeze(-1)
    return states.numpy(), lengths.numpy()


def word_vectors(
    encoder: Encoder, words: Sequence[Sequence[Word]], *, max_tokens: int = 512
) -> list[NDArray[np.float32]]:
    """One vector per word: the mean state of its tokens, each clip read as one text.

    Args:
        encoder: A frozen encoder with a fast tokenizer.
        words: Words of each of n clips.
        max_tokens: Tokens read of a clip; words behind them get zeros.

    Returns:
        n arrays (W, H) float32.
    """
    tokenizer = encoder.tokenizer()
    texts = [" ".join(word.text for word in clip) for clip in words]
    states, _ = token_vectors(encoder, tokenize(encoder, texts, max_tokens))
    found = []
    for row, clip in enumerate(words):
        coded = tokenizer(
            [word.text for word in clip],
            is_split_into_words=True,
            truncation=True,
            max_length=max_tokens,
        )
        belongs = np.array([-1 if w is None else w for w in coded.word_ids()])
        means = np.zeros((len(clip), states.shape[2]), np.float32)
        for word in range(len(clip)):
            at = np.flatnonzero(belongs == word)
            if at.size:
                means[word] = states[row, at].mean(0)
        found.append(means)
    return found


def over_words(
    values: NDArray[np.float32], rate: float, words: Sequence[Word]
) -> NDArray[np.float32]:
    """Frames averaged over the time of each word.

    A word without a frame of its own gets the frame nearest to its middle.

    Args:
        values: (T, D); frame t is heard or seen at (t + 1/2) / rate seconds.
        rate: Frames a second.
        words: W words in order.

    Returns:
        (W, D) float32.
    """
    moments = (np.arange(len(values)) + 0.5) / rate
    rows = []
    for word in words:
        inside = (moments >= word.start) & (moments < word.stop)
        nearest = int(np.abs(moments - (word.start + word.stop) / 2).argmin())
        rows.append(values[inside].mean(0) if inside.any() else values[nearest])
    return np.stack(rows).astype(np.float32)


class Ear:
    """A speech recogniser (faster-whisper) that tells when each word was said.

    Args:
        weights: Folder of CTranslate2 weights, or a model name that faster-whisper can fetch.
        language: ``en`` or ``zh``.
        cache: Folder for what was heard, by content.

    Raises:
        SpecError: For another language: a corpus of several cannot be heard in one.
    """

    def __init__(self, weights: str, language: str, cache: Path) -> None:
        if language not in ("en", "zh"):
            raise SpecError(
                f"transcripts are heard in one language, en or zh; this corpus is {language}",
                hint="extract each of its datasets by itself",
            )
        self._weights, self._language = weights, language
        self._cache = cache / "extraction" / "heard"
        self._model: Any = None

    @property
    def identity(self) -> dict[str, canonical.Json]:
        """What decides what is heard."""
        folder = Path(self._weights)
        model = folder / "model.bin"
        weights = canonical.file_digest(model) if model.is_file() else self._weights
        return {"weights": weights, "language": self._language, "beam": 5}

    def hear(self, cut: Cut) -> list[Word]:
        """The words of a clip.

        Raises:
            DataError: For a recording without sound, or one on which the recogniser fails.
            SpecError: When its weights cannot be loaded.
            MissingExtra: When the recogniser is not installed.
        """
        samples = recording.sound(cut.recording(), cut.start, cut.stop)

        def listen() -> list[list[str | float]]:
            return [[word.text, word.start, word.stop] for word in self._listen(samples)]

        heard = self._kept(self.identity, samples, listen)
        return [Word(text=t, start=a, stop=b) for t, a, b in heard]

    def spoken(self, cut: Cut) -> tuple[str, float]:
        """The language that a clip is most likely in, of all that the weights know.

        Returns:
            Its code, such as ``en``, and its probability, 0 to 1; ``en`` and 1 from weights that
            know English alone.

        Raises:
            DataError: As ``hear``.
            SpecError: As ``hear``.
            MissingExtra: As ``hear``.
        """
        samples = recording.sound(cut.recording(), cut.start, cut.stop)

        def tell() -> list[str | float]:
            with told_as_data_error():
                language, probability, _ = self._loaded().detect_language(floats(samples))
            return [str(language), float(probability)]

        language, probability = self._kept({**self.identity, "asked": "language"}, samples, tell)
        return language, probability

    def _kept(
        self,
        question: dict[str, canonical.Json],
        samples: NDArray[np.int16],
        answer: Callable[[], canonical.Json],
    ) -> Any:  # noqa: ANN401 - as JSON has it
        """The answer to a question about a sound, kept by the content of both."""
        sound = hashlib.sha256(samples.tobytes()).hexdigest()
        mark = canonical.digest([question, sound])
        path = self._cache / f"{mark[:32]}.json"
        return json.loads(kept(path, lambda: canonical.dumps(answer()).encode()))

    def _listen(self, samples: NDArray[np.int16]) -> list[Word]:
        model = self._loaded()
        with told_as_data_error():
            segments, _ = model.transcribe(
                floats(samples),
                language=self._language,
                beam_size=5,
                temperature=0.0,
                condition_on_previous_text=False,
                word_timestamps=True,
            )
            return [
                Word(text=word.word.strip(), start=float(word.start), stop=float(word.end))
                for segment in segments
                for word in segment.words
                if word.word.strip()
            ]

    def _loaded(self) -> Any:  # noqa: ANN401 - an optional package, absent where types are checked
        if self._model is None:
            whisper = load("faster_whisper")
            try:
                self._model = whisper.WhisperModel(
                    self._weights, device="cpu", compute_type="float32", cpu_threads=1
                )
            except Exception as error:
                raise SpecError(
                    f"cannot load the speech recogniser {self._weights}: {error}",
                    hint="--whisper takes a folder of CTranslate2 weights, or a model's name",
                ) from error
        return self._model
