"""Everything that `features` raises on purpose.

TercetError
├── DataContractError      the source, or a row of it, is not what contracts.md says
│   └── SourceError        the source can't be found or read at all
├── TablesError            a folder of conformed tables is missing, foreign or damaged
├── UnknownGroupError      a feature group was asked for that there is not
└── EngineError            what runs the feature SQL could not be started

Each message is one line: what was found, what was expected, where, and the next step. It never holds a customer's id
or the value of an identity.
"""

from __future__ import annotations

from collections.abc import Sequence

ROWS_NAMED = 5


class TercetError(Exception):
    """The root: whoever catches this catches what we raised, and no bug."""


class DataContractError(TercetError):
    """The source breaks the contract so badly that the run stops; nothing that was built before has been touched."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class SourceError(DataContractError):
    """The source can't be found, opened or read."""


class TablesError(TercetError):
    """A folder of conformed tables is missing, foreign or damaged."""


class UnknownGroupError(TercetError):
    """A feature group was asked for that there is not."""


class EngineError(TercetError):
    """What runs the feature SQL could not be started."""


def name_rows(rows: Sequence[int]) -> str:
    """Return the first row numbers as a person reads them.

    Examples
    --------
    >>> name_rows([3]), name_rows([3, 5, 9])
    ('row 3', 'rows 3, 5, 9')
    """
    shown = ", ".join(str(row) for row in rows[:ROWS_NAMED])
    return f"row {shown}" if len(rows) == 1 else f"rows {shown}"
