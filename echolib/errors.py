"""The package's own error: what it was given is not what it can read."""


class DataError(ValueError):
    """A file or a data set is malformed.

    The message names the file (and the row), says what was expected and what was found, and
    what to do about it.
    """
