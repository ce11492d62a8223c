"""MulT."""

from __future__ import annotations

from harness.testing.parity.counterpart import Counterpart
from harness.testing.parity.systems._rules import encoder

__all__ = ["MULT"]

_LETTERS = {"text": "l", "audio": "a", "vision": "v"}

MULT = Counterpart(
    name="mult",
    model="mult",
    rules=(
        *(
            (rf"convolutions\.{place}\.(.+)", rf"Model.proj_{letter}.\1")
            for place, letter in enumerate(_LETTERS.values())
        ),
        *(
            rule
            for reader, own in _LETTERS.items()
            for read, other in _LETTERS.items()
            if read != reader
            for rule in encoder(
                rf"readers\.{reader}_reads_{read}", f"Model.trans_{own}_with_{other}"
            )
        ),
        *(
            rule
            for place, letter in enumerate(_LETTERS.values())
            for rule in encoder(rf"memories\.{place}", f"Model.trans_{letter}_mem")
        ),
        (r"residual\.0\.(.+)", r"Model.proj1.\1"),
        (r"residual\.3\.(.+)", r"Model.proj2.\1"),
        (r"head\.(.+)", r"Model.out_layer.\1"),
    ),
    dtype="float64",  # in float32, rounding decides the sign of Adam's steps of tiny gradients
)
