"""One file per system that MMSA has: how its weights and settings correspond to ours."""
