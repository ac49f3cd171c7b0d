"""Entries: a result in a folder of its own, with its predictions, who made them, and the record of a re-score."""
