"""What a grid of conditions says of a checkpoint: areas, worst cells, sets, single modalities."""
