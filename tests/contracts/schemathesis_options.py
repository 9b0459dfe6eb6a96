"""What schemathesis must know of the API besides its document."""

from __future__ import annotations

# JSON Schema can't say which texts are rules: there a text that it allows may be refused.
_STATUSES = '["2xx", "3xx", "401", "403", "404", "409", "422", "429", "5xx"]'

OPTIONS = (
    f'[[operations]]\ninclude-path = "/v1/audiences"\nchecks.positive_data_acceptance.expected-statuses = {_STATUSES}\n'
    # Who is told of after being forgotten, with a consent say, is a new customer: their page is a 200 again.
    '[[operations]]\ninclude-path = "/v1/customers/{id}"\nchecks.use_after_free.enabled = false\n'
)
