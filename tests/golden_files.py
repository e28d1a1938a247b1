"""Files of the present schema, and what their estimators answer, for `tests/golden`.

`python tests/golden_files.py` writes those that are not there; none is ever remade.
"""

import json
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_iris

from sklearn_ff import FFClassifier, FFOutlierDetector, FFTransformer, register, save
from sklearn_ff.layers import Block, Conv2d, Dense
from sklearn_ff.overlays import Add
from sklearn_ff.persistence import SCHEMA

FOLDER = Path(__file__).parent / "golden"
X, y = load_iris(return_X_y=True)
X, y = X[::5], y[::5]


@register("golden: softplus")
def softplus(a):
    return torch.nn.functional.softplus(a)


def models():
    """Fitted estimators by the names of their files."""
    names = np.array(["red", "green", "blue"], dtype=object)
    online = FFClassifier([5, 4], prediction="hybrid", dropout=0.1, random_state=0)
    images = FFClassifier(
        layers=[Conv2d(2, kernel_size=1), Block([4, 4], residual=False), Dense(3)],
        overlay="spatial",
        image_shape=(1, 2, 2),
        schedule="greedy",
        max_iter=2,
        random_state=0,
    )
    parts = FFClassifier(
        [4, 3],
        activation=softplus,
        overlay=Add(np.eye(2, 4)),
        goodness=["mean_square", "top_k"],
        random_state=np.random.RandomState(0),
        class_weight={False: 2.0},
        max_iter=2,
    )
    return {
        "online": online.partial_fit(X, names[y], classes=names),
        "images": images.fit(X, y),
        "parts": parts.fit(X, y > 0),
        "features": FFTransformer(4, output="triangle", max_iter=2, random_state=0).fit(X),
        "outliers": FFOutlierDetector(FFTransformer(4, max_iter=2), random_state=0).fit(X),
        "unfitted": FFClassifier(7),
    }


def answers(model):
    """What an estimator says of some rows, as JSON."""
    for method in ("predict_proba", "transform", "score_samples"):
        if hasattr(model, method) and hasattr(model, "n_features_in_"):
            return getattr(model, method)(X[::3]).tolist()
    return None


def main():
    FOLDER.mkdir(exist_ok=True)
    for name, model in models().items():
        path = FOLDER / f"schema{SCHEMA}-{name}.safetensors"
        if not path.exists():
            save(model, path)
            told = {"answers": answers(model), "repr": repr(model)}
            path.with_suffix(".json").write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main()
