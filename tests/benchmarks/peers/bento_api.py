"""BentoML's `@bentoml.api` with its defaults, and an answer that takes no work."""

from __future__ import annotations

from typing import Any

import bentoml
import orjson

from tests.benchmarks.peers.ready import ready_answer


@bentoml.service(name="BenchApi")
class Ready:
    """Answers with the ready answer."""

    def __init__(self) -> None:
        self._answer: dict[str, Any] = orjson.loads(ready_answer())

    @bentoml.api(route="/v1/challenge")  # type: ignore[untyped-decorator]  # bentoml's annotations are partial
    def challenge(self, customer_id: str) -> dict[str, Any]:
        """Return the ready answer."""
        return self._answer
