"""What every package stands on and no researcher looks for: bytes, files, processes, look-ups.

Canonical JSON and digests, atomic writes, checksums, budgets of memory, Parquet, text encodings,
child seeds, registries, process pools, secrets and foreign text in what is printed, and
environments of other programs. Nothing here knows what a clip is.
"""

__all__ = [
    "allocation",
    "atomic",
    "budget",
    "by_content",
    "canonical",
    "checksums",
    "child",
    "decoding",
    "documents",
    "environment",
    "extras",
    "holding",
    "known_digests",
    "lazy",
    "own_files",
    "parquet",
    "pool",
    "pulse",
    "records",
    "redaction",
    "registry",
    "remembered",
    "remembered_rows",
    "sealed",
    "seeds",
    "shared_work",
    "shown",
    "siblings",
    "stopping",
    "streams",
    "tensors",
    "untouched",
    "venv",
]
