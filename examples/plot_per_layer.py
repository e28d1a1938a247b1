"""Parts of their own for every layer
==================================

Every layer has its own activation, normalisation, dropout or penalty, also in a search.

    python examples/plot_per_layer.py
"""

from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split

from sklearn_ff import FFClassifier
from sklearn_ff.layers import Dense

X_train, X_test, y_train, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)
settings = {
    "one for all": {},
    "one per layer": {
        "activation": ["relu", "leaky_relu"],
        "normalization": ["rms", "layer_norm"],
        "dropout": [0.0, 0.2],
        "alpha": [0.0, 1e-3],
    },
    "a random first layer": {
        "layers": [Dense(512, learned=False), 128],
        "activation": ["tanh", "relu"],
        "goodness": "readout",
    },
}
for name, params in settings.items():
    clf = FFClassifier(**{"layers": [128, 128], "max_iter": 20, "random_state": 0, **params})
    print(f"{name:20} accuracy {clf.fit(X_train, y_train).score(X_test, y_test):.3f}")

grid = {"activation__0": ["tanh", "relu"], "layers__0__learned": [False, True]}
search = GridSearchCV(clf.set_params(max_iter=5), grid, cv=2).fit(X_train, y_train)
print(f"The search selects {search.best_params_}; {search.score(X_test, y_test):.3f}.")
