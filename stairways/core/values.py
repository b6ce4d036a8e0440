"""The values that have a name of their own, so that they cannot be mixed up."""

import hashlib
import re
from typing import NewType

Micros = NewType("Micros", int)
"""Money in millionths of a US dollar."""

Shares = NewType("Shares", int)
"""A number of shares; negative when sold or short."""

Digest = NewType("Digest", str)
"""A SHA-256 as 64 lower-case hexadecimal digits."""

StreamName = NewType("StreamName", str)
"""The name of a stream of events, for example ``run-20261123-k7x2``."""

Version = NewType("Version", int)
"""How many events a stream holds; the first event of a stream has version 1."""

Position = NewType("Position", int)
"""The place of an event in the whole log: 1, 2, 3 … in commit order."""

NEW = Version(0)
"""The version of a stream that does not exist yet."""

MICROS_PER_DOLLAR = 1_000_000
LARGEST_WHOLE_NUMBER = 2**53 - 1
"""The largest whole number that every JSON reader keeps exactly (RFC 8785)."""


NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""What runs and models may be called."""


def is_utf8(text: str) -> bool:
    """Say whether a text from outside was UTF-8; other bytes come as lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def without_password(url: str) -> str:
    """Return a database URL fit for eyes and logs: every password in it is ``***``."""
    hidden = re.sub(r"(?<=://)([^/:@?]*):.*@", r"\1:***@", url)
    return re.sub(r"(?i)(password=)[^&\s]*", r"\1***", hidden)


def digest_of(content: bytes) -> Digest:
    """Return the SHA-256 that names ``content``."""
    return Digest(hashlib.sha256(content).hexdigest())
