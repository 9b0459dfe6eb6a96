"""The blend: between its two parts, and back from its texts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from training.blend import Blend, BlendConfig, fit_blend
from training.boosting import BoostingConfig
from training.examples import Examples
from training.logistic import base_rate


def planted() -> Examples:
    rng = np.random.default_rng(4)
    x = rng.random(600)
    return Examples(pd.DataFrame({"x": x}), (rng.random(600) < x).astype(float), np.arange(600))


def test_a_blend_lies_between_its_parts_and_comes_back_from_its_texts() -> None:
    examples = planted()
    config = BlendConfig(boosted_weight=0.3, trees=BoostingConfig(n_trees=20, n_leaves=4, n_threads=1))
    blend = fit_blend(examples, ["x"], config)
    assert blend.trees is not None
    parts = np.sort([blend.logistic.predict(examples.features), blend.trees.predict(examples.features)], axis=0)
    p = blend.predict(examples.features)
    assert ((p >= parts[0] - 1e-12) & (p <= parts[1] + 1e-12)).all()
    again = Blend.from_artifacts(blend.artifacts(["a note"]))
    assert np.allclose(again.predict(examples.features), p, atol=1e-12)


def test_without_trees_it_is_its_logistic_model() -> None:
    blend = Blend(base_rate([0, 1]))
    assert blend.predict(pd.DataFrame(index=[0, 1])).tolist() == [0.5, 0.5]
    assert set(blend.artifacts([])) == {"logistic.json", "blend.json"}
    assert blend.importance == {}
