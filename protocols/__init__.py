"""A folder per family of metrics; each protocol is found through the entry points in pyproject.toml."""
