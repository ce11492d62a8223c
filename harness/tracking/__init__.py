"""Runs as an MLflow experiment: a projection of the run store, and the only importer of mlflow.

``describe`` says what of a run is logged, ``export`` writes it, ``sqlite`` makes writing to the
default database fast.
"""

__all__ = ["describe", "export"]
