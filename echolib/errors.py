"""The package's own error, for data that it cannot read."""


class DataError(ValueError):
    """A file or a data set is malformed.

    The message names the file (and the row), says what was expected and what was found, and
    what to do about it.
    """
