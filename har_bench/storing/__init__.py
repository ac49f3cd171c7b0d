"""How a store lies on disk: Parquet, HDF5, the manifest and fingerprints."""
