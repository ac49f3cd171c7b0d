"""One module per raw dataset; each is found through the entry points in pyproject.toml."""
