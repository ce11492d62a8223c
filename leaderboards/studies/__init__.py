"""Questions to stored runs beyond a board: variance, quality scores, reproduction, fidelity."""
