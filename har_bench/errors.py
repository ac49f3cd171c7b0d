"""The one error type that a user meets: a sentence that names the file, the record and the remedy."""


class HarBenchError(Exception):
    """Something a user can mend; its text is one sentence with the place and the remedy."""
