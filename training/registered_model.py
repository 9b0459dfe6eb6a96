"""The code of a registered model ('models from code'): texts in, numbers out, no pickle.

A model with boosted trees answers a frame of its features with what the trees say of each row (for a binary model the
chance before calibration; `calibration.json` and `blend.json` beside them hold the rest). A model that is a table
rather than a function (also-bought, segments, …) answers a frame with a column `file` with the texts of those files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightgbm as lgb
import mlflow
import pandas as pd
from mlflow.pyfunc import PythonModel

TREES = "trees.txt"


class Texts(PythonModel):  # type: ignore[misc]  # MLflow ships no types
    """A model kept as text files."""

    def load_context(self, context: Any) -> None:  # Any: MLflow's own context
        """Read the texts, and the trees among them."""
        self.texts = {name: Path(path).read_text(encoding="utf-8") for name, path in context.artifacts.items()}
        self.trees = lgb.Booster(model_str=self.texts[TREES]) if TREES in self.texts else None

    def predict(
        self,
        context: Any,  # noqa: ARG002 - MLflow's signature
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,  # noqa: ARG002 - MLflow's signature
    ) -> Any:
        """Return the trees' predictions ``(n,)``, or the texts of the files named in the column `file`."""
        if self.trees is None:
            return model_input["file"].map(self.texts)
        return self.trees.predict(model_input[self.trees.feature_name()], num_threads=1)


mlflow.models.set_model(Texts())
