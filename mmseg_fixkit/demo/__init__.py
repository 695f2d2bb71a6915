"""The demonstration: data made on the spot, a run that fails, the patch, a run that trains."""
