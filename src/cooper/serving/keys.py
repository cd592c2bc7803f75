"""Keys as they are given to a server and to those who ask it: in an environment variable."""

import os

from cooper.errors import CooperError


def keys_of(variable: str | None) -> tuple[str, ...]:
    """The keys in an environment variable, several with commas between. CooperError: it is empty or has a weak one."""
    if variable is None:
        return ()
    keys = tuple(key.strip() for key in os.environ.get(variable, "").split(",") if key.strip())
    if not keys:
        raise CooperError(f"--key-env names {variable}, which is not set or empty")
    if any(len(key) < 8 or not key.isascii() for key in keys):
        raise CooperError(f"a key in {variable} has fewer than 8 characters, or others than ASCII")
    return keys
