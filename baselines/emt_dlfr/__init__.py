"""EMT-DLFR: streams talk through three global tokens; a damaged clip is drawn to the whole one."""

from baselines.emt_dlfr.system import EMT_DLFR

__all__ = ["EMT_DLFR"]
