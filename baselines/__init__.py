"""One module or folder per model; each is found through the entry points in pyproject.toml."""
