"""What would fail in the first hour of a training, tried in a minute."""
