"""What a team would write in a day: FastAPI, a look-up of the customer, LightGBM over 200 candidates, the best three.

It has the same customers and products as the bundle. What the model says means nothing: its features are drawn.
"""

from __future__ import annotations

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from serving.bundle import Bundle, open_bundle
from tests.benchmarks.peers.ready import bundle_folder

N_CANDIDATES, N_FEATURES, N_TREES, N_LEAVES, N_ITEMS = 200, 30, 200, 31, 3


class Asked(BaseModel):
    """A customer."""

    customer_id: str


class Item(BaseModel):
    """A product and its score."""

    product_id: str
    name: str
    score: float


class Answer(BaseModel):
    """The best products."""

    customer_id: str
    items: list[Item]


def _candidates(bundle: Bundle) -> npt.NDArray[np.int32]:
    """Return 200 products of each customer: those that they buy again, discoveries, then popular ones."""
    n = len(bundle.customers.id)
    found = np.tile(np.resize(bundle.popular.product, N_CANDIDATES), (n, 1))
    discovered = bundle.novelty.product[bundle.discover.novelty]
    for offsets, products in ((bundle.discover.offsets, discovered), (bundle.again.offsets, bundle.again.product)):
        for row in range(n):
            own = products[offsets[row] : offsets[row + 1]][: N_CANDIDATES // 2]
            found[row, : len(own)] = own
    return found


def _model(rng: np.random.Generator) -> lgb.Booster:
    sample = rng.random((20_000, N_FEATURES))
    labels = (sample[:, :5].sum(axis=1) + rng.normal(0, 0.5, len(sample)) > 2.5).astype(int)
    options = {"objective": "binary", "num_leaves": N_LEAVES, "num_threads": 1, "seed": 7, "verbose": -1}
    return lgb.train(options, lgb.Dataset(sample, labels), N_TREES)


def make_app() -> FastAPI:
    """Return the application."""
    bundle = open_bundle(bundle_folder(), verify=False)
    rng = np.random.default_rng(7)
    rows = {customer_id: row for row, customer_id in enumerate(bundle.customers.id)}
    product_ids = list(bundle.products.id)
    product_names = list(bundle.products.name)
    customer_features = rng.random((len(rows), N_FEATURES // 2), dtype=np.float32)
    product_features = rng.random((len(product_ids), N_FEATURES // 2), dtype=np.float32)
    candidates = _candidates(bundle)
    model = _model(rng)
    app = FastAPI()

    @app.post("/v1/challenge")
    async def challenge(asked: Asked) -> Answer:
        row = rows.get(asked.customer_id)
        if row is None:
            raise HTTPException(404)
        products = candidates[row]
        own = np.broadcast_to(customer_features[row], (N_CANDIDATES, N_FEATURES // 2))
        scores = model.predict(np.hstack([own, product_features[products]]), num_threads=1)
        best = np.argsort(-scores)[:N_ITEMS]
        return Answer(
            customer_id=asked.customer_id,
            items=[
                Item(product_id=product_ids[products[i]], name=product_names[products[i]], score=float(scores[i]))
                for i in best
            ],
        )

    return app
