"""The weights that a run selected: kept beside its predictions, exported, built again, removed.

``weights.safetensors`` holds the tensors, ``weights.json`` (``card``) what they belong to. They are
no part of a run's identity: a run is the same with and without them.
"""

__all__ = ["card", "exporting", "keeping", "placing", "removing", "restoring", "tensors"]
