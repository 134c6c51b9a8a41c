"""Which ids steps and workflows may have."""

from __future__ import annotations

import re

LONGEST_ID = 100
"""More characters than that are no id: addresses and messages hold several of them."""
ID_RULE = f"letters, digits, _ and -, a letter or _ first, at most {LONGEST_ID} characters"
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def is_plain_id(text: str) -> bool:
    """Tell whether a text is an id that needs no encoding anywhere."""
    return len(text) <= LONGEST_ID and _PLAIN.fullmatch(text) is not None
