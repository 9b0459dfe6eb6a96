"""When two identities are the same: an e-mail address in one case, a telephone number by its digits."""

from __future__ import annotations

_DIGITS = frozenset("0123456789")


def kind_of_identity(kind: str) -> str:
    """Return a kind as it is compared."""
    return kind.strip().casefold()


def normalised(kind: str, value: str) -> str:
    """Return the value as it is compared: e-mail in one case, telephone numbers as digits alone, others trimmed.

    >>> normalised("email", " Ann@Example.com "), normalised("phone", "+49 (30) 12-34")
    ('ann@example.com', '49301234')
    """
    match kind_of_identity(kind):
        case "email":
            return value.strip().casefold()
        case "phone":
            return "".join(character for character in value if character in _DIGITS)
        case _:
            return value.strip()
