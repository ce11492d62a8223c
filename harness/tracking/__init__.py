"""Runs as an MLflow experiment: a projection of the run store, and the only importer of mlflow.

``describe`` says what of a run is logged, ``projection`` writes it, ``connection`` reaches the
server or database, ``sqlite`` makes writing to a file fast, ``export`` is the whole; ``live`` shows
cells while they run, there or in TensorBoard.
"""

__all__ = ["connection", "describe", "export", "live", "projection", "sqlite"]
