"""What every package stands on and no researcher looks for: bytes, files, processes, look-ups.

Canonical JSON and digests, atomic writes, checksums, budgets of memory, Parquet, text encodings,
child seeds, registries, process pools, secrets and foreign text in what is printed, and
environments of other programs. Nothing here knows what a clip is.
"""

__all__ = [
    "atomic",
    "budget",
    "canonical",
    "checksums",
    "child",
    "decoding",
    "documents",
    "extras",
    "holding",
    "known_digests",
    "lazy",
    "parquet",
    "pool",
    "records",
    "redaction",
    "registry",
    "sealed",
    "seeds",
    "shown",
    "stopping",
    "streams",
    "tensors",
    "untouched",
    "venv",
]
