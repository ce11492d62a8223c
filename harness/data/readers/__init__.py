"""Other people's files to tables and drafts of corpora, checked on the way in.

One module per kind of file: feature pickles (interpreted, never unpickled), label files,
predictions, explanations. Everything with one row per clip goes through ``tables``.
"""

__all__ = ["explanations", "label_csv", "mmsa_pickle", "predictions", "tables", "unpickle"]
