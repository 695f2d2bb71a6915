"""The parts that work inside training."""
