"""The systems, one file each: constants, ridges, and re-implemented networks.

A file defines one or more ``System`` objects with their cards; nothing registers them. Names that
begin with an underscore are what several files truly share.
"""

__all__ = ["late_fusion"]
