"""The exception of the package."""

from __future__ import annotations


class Error(Exception):
    """Something that cannot be done; the message names the culprit and says what to do.

    code is a word: "invalid_argument", "not_found", "io", "bad_format", "unsupported", "mismatch",
    "too_large", "interrupted", or "busy".
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message
