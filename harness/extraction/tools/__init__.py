"""Extractors, one file each. The noun itself is ``harness.extraction.Extractor``."""
