"""Corpora taken away and brought back; what was made on them stays."""

from __future__ import annotations

from harness.data.store import CorpusStore
from harness.testing import small_corpus, small_draft


def test_a_removed_corpus_comes_back_as_it_was(msa, home) -> None:
    before = small_corpus(home.corpora).fingerprint
    code, said, _ = msa("data", "remove", "mosi@small")
    assert (code, "msa data remove mosi@small --undo brings it back" in said) == (0, True)
    assert CorpusStore(home.corpora).names() == []
    assert msa("data", "remove", "mosi@small", "--undo")[:2] == (0, "mosi@small: back\n")
    assert CorpusStore(home.corpora).load("mosi@small").fingerprint == before


def test_its_name_is_free_and_the_other_is_not_overwritten(msa, home) -> None:
    small_corpus(home.corpora)
    msa("data", "remove", "mosi@small")
    CorpusStore(home.corpora).add(small_draft(seed=3))
    code, _, told = msa("data", "remove", "mosi@small", "--undo")
    assert (code, "is stored again" in told) == (2, True)
    assert msa("data", "remove", "mosi@small")[0] == 0  # the newer one is what comes back now
    msa("data", "remove", "mosi@small", "--undo")
    now = CorpusStore(home.corpora).load("mosi@small")
    assert now.fingerprint != small_corpus(home.root / "again").fingerprint


def test_what_is_cleaned_out_is_gone(msa, home) -> None:
    small_corpus(home.corpora)
    msa("data", "remove", "mosi@small")
    code, said, _ = msa("store", "clean")
    assert code == 0
    assert said.endswith(" MB freed\n")
    assert msa("store", "clean")[1] == "0.0 MB freed\n"
    code, _, told = msa("data", "remove", "mosi@small", "--undo")
    assert (code, "no corpus 'mosi@small' was removed" in told) == (2, True)


def test_what_is_not_stored_cannot_be_removed(msa, home) -> None:
    code, _, told = msa("data", "remove", "mosi@small/../..")
    assert (code, "is not here" in told) == (2, True)
