"""No corruption."""

from harness.spec.laws import Law

NONE = Law(name="none", about="clips as they are", damage=None, place=0)
