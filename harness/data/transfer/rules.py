"""What a domain-generalisation run may not do, checked before anything is trained.

That target and sources share no clip, no video and no dataset, and that features live in one space,
is seen to when a transfer corpus is composed; here is what only a plan can see.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from harness.data.corpus import Corpus
from harness.data.datasets import SPLITS, Dataset, datasets
from harness.data.identifiers import skeleton
from harness.data.transfer.compose import is_transfer
from harness.errors import DataError, SpecError
from harness.spec import Protocol, algorithm_of

__all__ = ["check_corpora", "check_knowledge", "check_settings"]

_KIND = "domain_generalization"


def check_corpora(protocol: Protocol, corpora: Iterable[Corpus]) -> None:
    """Transfers run under the protocol made for them, and it runs nothing else.

    Raises:
        SpecError: For a transfer under another protocol, or another corpus under this one.
        DataError: For a transfer corpus that trains on clips of its target, or tests on others.
    """
    for corpus in corpora:
        transfers = is_transfer(corpus.name)
        if transfers and protocol.kind != _KIND:
            raise SpecError(
                f"{corpus.name} is a transfer; protocol {protocol.name} is {protocol.kind}",
                hint=f'name = "{_KIND}" under [protocol]',
            )
        if not transfers and protocol.kind == _KIND:
            name, _, features = corpus.name.partition("@")
            raise SpecError(
                f"protocol {protocol.name} runs on transfers, {corpus.name} is none",
                hint=f"its in-domain bound is {name}-to-{name}@{features}",
            )
        if transfers:
            _check_domains(corpus)


def _check_domains(corpus: Corpus) -> None:
    """Whose clips are learned from and tested on, by the clips themselves."""
    dataset = corpus.dataset
    for split in SPLITS:
        found = set(corpus.split(split).clips["domain"])
        allowed = {dataset.target} if split == "test" else set(dataset.sources)
        if found != allowed:
            raise DataError(
                f"{split} of {corpus.name} should hold clips of {', '.join(sorted(allowed))};"
                f" found {', '.join(sorted(found)) or 'none'}",
                hint="delete its folder; it is made again when it is asked for",
            )


def check_settings(protocol: Protocol, trained: Sequence[str]) -> None:
    """Every trained algorithm tries as many settings as the protocol declares.

    Args:
        protocol: Any; only domain generalisation declares a number.
        trained: Labels of the rows that learn by seed. ``CORAL #1`` and ``CORAL #2`` are two
            settings of the algorithm ``CORAL``.

    Raises:
        SpecError: For an algorithm with more tries than others, or fewer.
    """
    if protocol.kind != _KIND:
        return
    tries: Mapping[str, int] = Counter(map(algorithm_of, trained))
    for algorithm, found in tries.items():
        if found != protocol.settings:
            raise SpecError(
                f"{algorithm!r} tries {found} settings; the protocol gives every algorithm"
                f" {protocol.settings}",
                hint='label them "NAME #1", "NAME #2", …, or change settings under [protocol]',
            )


def check_knowledge(corpus: Corpus, knowledge: Corpus) -> None:
    """What a system knows besides its sources may not come from the target either.

    Raises:
        DataError: When the knowledge corpus is of the target's dataset, of one that contains it or
            is contained in it, or has videos or clips of the target's test split.
    """
    if not is_transfer(corpus.name):
        return
    target = datasets[corpus.dataset.target]
    for name in knowledge.dataset.sources or (knowledge.dataset.name,):
        if _are_one(datasets[name], target):
            raise DataError(
                f"{knowledge.name} cannot be knowledge for {corpus.name}: {datasets[name].title}"
                f" overlaps the target, {target.title}",
                hint="learn from a corpus of another dataset",
            )
    test, learned = corpus.split("test").clips, knowledge.clips[knowledge.clips["split"] != "test"]
    for column in sorted({"video", "id"}.intersection(test, learned)):  # stand-ins have neither
        shared = set(test[column].map(skeleton)).intersection(learned[column].map(skeleton))
        if shared:
            raise DataError(
                f"{knowledge.name} cannot be knowledge for {corpus.name}: {len(shared)} test"
                f" {column}s recur in it, such as {min(shared)}",
                hint="learn from a corpus of another dataset",
            )


def _are_one(a: Dataset, b: Dataset) -> bool:
    return a is b or a.name in b.contains or b.name in a.contains
