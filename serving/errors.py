"""What the serving side raises.

::

    TercetError (features.errors)
    └── ServingError
        ├── BundleError        a bundle that is damaged, foreign, of another schema, or can't be written
        ├── PolicyError        policy.toml has unknown keys or values that are not allowed
        ├── ExperimentsError   experiments.toml has mistakes, or an arm's policy does not fit the bundle's
        ├── TextsError         a file of texts has mistakes: a template, a form of the language, or a key
        ├── SettingsError      an option of the server is wrong; names the option
        ├── KeysError          keys.json is damaged, or a key can't be as it was asked for
        ├── BatchError         a list of customers or queries can't be read, or the answers can't be written
        ├── ErasureError       something that holds a customer can't be rewritten
        ├── HomeInUse          a training or retraining is at work in the home that can't be worked beside
        ├── StateUnavailable   the state can't be read or written now; it may be in a moment
        │   └── StateUnfit     its file or server is there, and can't be relied on; someone must change something
        │       └── StateDamaged   one document of it can't be read; the others can
        ├── InvalidRequest     a field of a request is wrong; carries the field
        └── UnknownProduct     a call that names one product only names one that is not known
"""

from __future__ import annotations

from features.errors import TercetError


class ServingError(TercetError):
    """The root of the errors of this package."""


class BundleError(ServingError):
    """A bundle is damaged, foreign, of another schema version, or can't be written; one line says which and why."""


class PolicyError(ServingError):
    """The policy has unknown keys or values that are not allowed; the message names every one of them."""


class ExperimentsError(ServingError):
    """The experiments have unknown keys or values that are not allowed; the message names every one of them."""


class TextsError(ServingError):
    """A file of texts has keys, forms or templates that are not allowed; the message names every one of them."""


class SettingsError(ServingError):
    """An option of the server is wrong; one line names the option, what was found and what was expected."""


class KeysError(ServingError):
    """The file of API keys is damaged, or a key can't be made or revoked as asked; one line says what to do."""


class BatchError(ServingError):
    """A list of customers or queries can't be read, or the answers can't be written; one line names file and column."""


class HomeInUse(ServingError):
    """A training or a retraining is at work in the home that can't be worked beside; one line says which."""


class StateUnavailable(ServingError):
    """The state can't be read or written now: its disk is full, its file is locked, its server is away; says which."""


class StateUnfit(StateUnavailable):
    """The state's file or server is there and can't be relied on, until someone changes what the line names."""


class StateDamaged(StateUnfit):
    """One document of the state can't be read; whoever it is not about is answered as ever."""


class ErasureError(ServingError):
    """Something that holds a customer can't be rewritten; they stay hidden, and running the same again finishes it."""


class InvalidRequest(ServingError):
    """A field of a request is wrong.

    `field` is its path in the request, such as ``at`` or ``product_ids``.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class UnknownProduct(ServingError):
    """A call that names one product only names one that the bundle doesn't have."""

    def __init__(self, product_id: str) -> None:
        super().__init__(f"product {product_id!r} is not known")
        self.product_id = product_id
