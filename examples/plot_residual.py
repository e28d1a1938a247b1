"""A residual convolutional network
================================

Blocks of two convolutions on digits, with and without residual connections.

    python examples/plot_residual.py
"""

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_ff import FFClassifier
from sklearn_ff.layers import Block, Conv2d


def network(residual):
    """Two blocks of two convolutions; a block learns by backpropagation inside, none beyond."""
    return [
        Conv2d(16),
        Block([Conv2d(16), Conv2d(16)], residual=residual),
        Block([Conv2d(16), Conv2d(16, pool="max")], residual=residual),
    ]


X_train, X_test, y_train, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)
for name, residual in {"plain": False, "residual": True}.items():
    clf = FFClassifier(
        layers=network(residual),
        image_shape=(1, 8, 8),
        goodness="readout",
        max_iter=10,
        random_state=0,
    ).fit(X_train, y_train)
    print(f"{name:8} accuracy {clf.score(X_test, y_test):.3f}")
