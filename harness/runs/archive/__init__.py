"""A board that travels: one file with all that it follows from but the labels, and its check.

``pack`` writes it, ``unpack`` reads one that nobody vouches for, ``check`` says what is wrong with
it, ``sign`` and ``signer_of`` leave keys to OpenSSH. Transcripts, features, labels and what
language models answered are never in it; of labels there is a digest.
"""

from __future__ import annotations

from harness.runs.archive.checking import ArchiveReport, check
from harness.runs.archive.files import unpack
from harness.runs.archive.packing import Packed, pack, version
from harness.runs.archive.signing import sign, signature_of, signer_of

__all__ = [
    "ArchiveReport",
    "Packed",
    "check",
    "pack",
    "sign",
    "signature_of",
    "signer_of",
    "unpack",
    "version",
]
