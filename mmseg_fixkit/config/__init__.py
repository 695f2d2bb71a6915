"""The config transformer: a config read, diagnosed, planned, written and proved."""
