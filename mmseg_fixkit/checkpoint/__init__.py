"""What a checkpoint holds against what a model needs."""
