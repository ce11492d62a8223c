"""What every package stands on and no researcher looks for: bytes, files, processes, look-ups.

Canonical JSON and digests, atomic writes, checksums, Parquet, text encodings, child seeds,
registries, process pools and environments of other programs. Nothing here knows what a clip is.
"""

__all__ = [
    "atomic",
    "canonical",
    "checksums",
    "decoding",
    "documents",
    "extras",
    "holding",
    "known_digests",
    "lazy",
    "parquet",
    "pool",
    "records",
    "registry",
    "sealed",
    "seeds",
    "tensors",
    "untouched",
    "venv",
]
