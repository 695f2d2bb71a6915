"""Several labels a pixel: loading, loss, segmentors, metric, pictures and conversion."""
