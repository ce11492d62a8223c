"""Transfer corpora: train on some datasets, test on another, composed of stored corpora.

``name`` takes a transfer's name apart, ``rules`` says which combinations are honest, ``pieces``
brings labels and features to one scale, ``compose`` puts the corpus together.
"""

__all__ = ["compose", "rules"]
