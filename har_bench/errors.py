"""What a user meets, an error or a warning: a sentence that names the file, the record and the remedy."""


class HarBenchError(Exception):
    """Something a user can mend; its text is one sentence, on one line, with the place and the remedy."""

    def __init__(self, sentence: str) -> None:
        # a damaged file's bytes may be in the sentence, quoted by the library that choked on them
        printable = (letter if letter.isprintable() else " " for letter in sentence)
        super().__init__(" ".join("".join(printable).split()))


class HarBenchWarning(UserWarning):
    """Something a user should know, though the work goes on; its text is one sentence."""
