"""One module per family of metrics; each is found through the entry points in pyproject.toml."""
