"""The one exception for mistakes a user can mend."""


class CooperError(ValueError):
    """Bad input, said in one sentence that names the file, row, field or tensor at fault."""
