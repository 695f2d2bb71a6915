"""PaddleSeg's YAML configs: read, checked, and set to the user's classes or labels."""
