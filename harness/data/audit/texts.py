"""Do the transcripts hold what was said, and is any of it in two splits?

What programs leave in texts is counted, never mended: a corpus is what its file says.
"""

from __future__ import annotations

import html.entities
import itertools
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pandas as pd

from harness.data.audit.check import Check, Verdict, none_of, such_as
from harness.data.audit.mojibake import looks_decoded_wrongly
from harness.data.corpus import Corpus
from harness.data.datasets import SPLITS
from harness.data.identifiers import spells_nothing, visible

__all__ = ["text_checks"]

_ENTITY = re.compile(r"&(#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});", re.I)
_ROW_END = re.compile(r",(?:train|valid|dev|val|test)[ \t]*$", re.I | re.M)
_EAST_ASIAN = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_LATIN_WORD = re.compile(r"[A-Za-z\u00c0-\u024f]+(?:['\u2019][A-Za-z]+)*")
_SYSTEMATIC = 0.05  # more texts than this share: not slips, another file
_FEW_WORDS = 5  # up to which two speakers say the same by chance


@dataclass(frozen=True, kw_only=True)
class _Fault:
    """What a text may be found to hold."""

    name: str
    holds: Callable[[str], bool]
    verdict: Verdict
    detail: str


def _has_entity(text: str) -> bool:
    names = (found[1] for found in _ENTITY.finditer(text))
    return any(name.startswith("#") or f"{name};" in html.entities.html5 for name in names)


def _has_unseen(text: str) -> bool:
    """Control and format characters; joiners inside words and emoji are of their scripts."""
    beyond = (character for character in text if not character.isprintable())
    return any(c not in "\t\n\r\u200c\u200d" and _is_unseen(c) for c in beyond)


def _is_unseen(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Co", "Cn")


_FAULTS = (
    _Fault(
        name="texts that spell a missing value",
        holds=spells_nothing,
        verdict="warn",
        detail="nan, None, NULL: a program wrote them where a text was missing",
    ),
    _Fault(
        name="texts decoded wrongly",
        holds=looks_decoded_wrongly,
        verdict="warn",
        detail="look like UTF-8 read as cp1252 or GB 18030",
    ),
    _Fault(
        name="texts with replacement characters",
        holds=lambda text: "\ufffd" in text,
        verdict="note",
        detail="U+FFFD stands where characters were lost",
    ),
    _Fault(
        name="texts with HTML entities",
        holds=_has_entity,
        verdict="note",
        detail="such as &amp; for &",
    ),
    _Fault(
        name="texts with invisible characters",
        holds=_has_unseen,
        verdict="note",
        detail="control or format characters",
    ),
    _Fault(
        name="texts with blanks at the ends",
        holds=lambda text: text != text.strip() and bool(text.strip()),
        verdict="note",
        detail="stored as they are",
    ),
    _Fault(
        name="texts not in composed form",
        holds=lambda text: not unicodedata.is_normalized("NFC", text),
        verdict="note",
        detail="letters and accents apart (not NFC): another text to a tokenizer",
    ),
    _Fault(
        name="texts that end like rows",
        holds=lambda text: _ROW_END.search(text) is not None,
        verdict="warn",
        detail="a quote may have swallowed rows of the table",
    ),
)


def text_checks(corpus: Corpus) -> Iterator[Check]:
    """Empty transcripts, traces of programs, another language, repetition across splits."""
    clips, texts = corpus.clips["id"], corpus.clips["text"].fillna("").astype(str)
    empty = clips[texts.str.strip() == ""]
    grave: Verdict = "fail" if len(empty) == len(texts) else "warn"
    yield none_of(corpus, "empty texts", len(empty), grave, f"such as {such_as(empty)}")
    for fault in _FAULTS:
        found = clips[[fault.holds(text) for text in texts]]
        detail = f"{fault.detail}: {such_as(found)}"
        yield none_of(corpus, fault.name, len(found), fault.verdict, detail)
    yield _language(corpus, texts)
    yield from _lines(corpus)
    yield _repetition(corpus, texts)


def _language(corpus: Corpus, texts: pd.Series) -> Check:
    """English with East Asian characters in it; Chinese with more Latin words than Han."""
    column = corpus.manifest.get("text", "text")
    language = {"text": corpus.dataset.language, "text_en": "en"}.get(str(column), "mixed")
    if language == "en":
        strange = [_EAST_ASIAN.search(text) is not None for text in texts]
        what = "East Asian characters in English"
    else:
        strange = [language == "zh" and _is_latin(text) for text in texts]
        what = "more Latin words than Chinese characters"
    found = corpus.clips["id"][strange]
    share = len(found) / max(len(texts), 1)
    return none_of(
        corpus,
        "texts in another language",
        len(found),
        "warn" if share > _SYSTEMATIC else "note",
        f"{what} in {share:.1%}: {such_as(found)}",
    )


def _is_latin(text: str) -> bool:
    return len(_LATIN_WORD.findall(text)) > len(_EAST_ASIAN.findall(text))


def _lines(corpus: Corpus) -> Iterator[Check]:
    """A table with more lines than rows has texts of several lines, meant or not."""
    source = corpus.manifest.get("source")
    lines = source.get("lines") if isinstance(source, dict) else None
    if not isinstance(lines, int):
        return
    spread = corpus.clips["id"][corpus.clips["text"].str.contains("\n", regex=False)]
    detail = f"{lines} lines hold a header and {len(corpus.clips)} clips"
    if len(spread):
        detail += f"; transcripts of several lines: {such_as(spread)}"
    beyond = lines - 1 - len(corpus.clips)
    yield none_of(corpus, "lines beyond one per clip", beyond, "note", detail)


def _repetition(corpus: Corpus, texts: pd.Series) -> Check:
    """Transcripts of more than a few words that another split has too, as a person reads them."""
    seen = texts.map(_as_read)
    seen = seen[[_is_long(text) for text in seen]]
    parts = {name: seen[corpus.clips["split"] == name] for name in SPLITS}
    found, said = 0, []
    for earlier, later in itertools.combinations(SPLITS, 2):
        repeated = parts[later][parts[later].isin(set(parts[earlier]))]
        found += len(repeated)
        if len(repeated):
            n = len(corpus.split(later))
            said.append(
                f"{len(repeated)} of {n} {later} transcripts ({len(repeated) / n:.1%}) are in"
                f" {earlier}, such as {such_as(corpus.clips['id'][repeated.index])}"
            )
    return none_of(corpus, "texts in two splits", found, "note", "; ".join(said))


def _as_read(text: str) -> str:
    return unicodedata.normalize("NFKC", visible(text)).casefold()


def _is_long(text: str) -> bool:
    """Whether it has more than a few words; two Chinese characters count as one."""
    words = len(_LATIN_WORD.findall(text)) + len(_EAST_ASIAN.findall(text)) / 2
    return words > _FEW_WORDS
