"""A test kit for packages that add systems: small corpora, an encoder, a server, conformance.

Everything is made on the spot in a folder of the caller's, from a seed, in a second or two, without
a download. ``check_system`` runs the checks that every system of the project goes through;
``golden`` trains one on the weights and clips of ``formula``, beside what published code computed;
``NoWaiting`` finds where a step would wait for a GPU.
"""

from __future__ import annotations

from harness.testing import formula, golden
from harness.testing.corpora import small_corpus, small_draft
from harness.testing.encoders import tiny_encoder
from harness.testing.server import ChatServer, serve_chat
from harness.testing.systems import SMALL, check_system, findings_of, fitting_corpus
from harness.testing.waits import NoWaiting, Waits

__all__ = [
    "SMALL",
    "ChatServer",
    "NoWaiting",
    "Waits",
    "check_system",
    "findings_of",
    "fitting_corpus",
    "formula",
    "golden",
    "serve_chat",
    "small_corpus",
    "small_draft",
    "tiny_encoder",
]
