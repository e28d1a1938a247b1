"""Random tables, labels and weights, most of them legal, for the property tests."""

import numpy as np
import scipy.sparse as sp
from hypothesis import strategies as st

MOST_ROWS, MOST_COLUMNS = 60, 10


def chance(draw, odds):
    """Once in so many draws."""
    return draw(st.sampled_from(range(odds))) == odds // 2


def now_and_then(draw, bad, good, odds=30):
    """An entry of `good`, now and then one of `bad`."""
    return draw(st.sampled_from([*(bad if chance(draw, odds) else good)]))


# Tables -----------------------------------------------------------------------------------------


def _normal(rng, n):
    return rng.normal(size=n)


COLUMNS = {
    "normal": _normal,
    "whole": lambda rng, n: rng.integers(-3, 4, n),
    "pixels": lambda rng, n: rng.integers(0, 256, n),
    "yes_or_no": lambda rng, n: rng.integers(0, 2, n),
    "mostly_zero": lambda rng, n: rng.normal(size=n) * (rng.random(n) < 0.1),
    "zero": lambda rng, n: np.zeros(n),
    "constant": lambda rng, n: np.full(n, 7.3),
    "far_away": lambda rng, n: 1.7e9 + 1e3 * rng.normal(size=n),
    "skewed": lambda rng, n: np.exp(5 * rng.normal(size=n)),
    "one_outlier": lambda rng, n: rng.normal(size=n) + 1e8 * (np.arange(n) == 0),
    "large": lambda rng, n: 1e12 * rng.normal(size=n),
    "huge": lambda rng, n: 1e37 * rng.uniform(-1, 1, n),
    "tiny": lambda rng, n: 1e-12 * rng.normal(size=n),
    "denormal": lambda rng, n: 1e-40 * rng.normal(size=n),
}
DTYPES = ["float64", "float32", "int64", "uint8", "bool"]
FORMS = ["array", "array", "array", "csr", "csc", "columns_first", "read_only", "strided"]
BAD_TABLES = {
    "not_a_number": lambda X: np.where(X.flat[0] == X, np.nan, X.astype(float)),
    "infinite": lambda X: np.where(X.flat[0] == X, np.inf, X.astype(float)),
    "beyond_float32": lambda X: np.where(X.flat[0] == X, 1e300, X.astype(float)),
    "flat": lambda X: X.ravel(),
    "without_rows": lambda X: X[:0],
    "strings": lambda X: np.full(X.shape, "a"),
}


@st.composite
def tables(draw):
    """A random table, numbers of rows and columns mostly small."""
    n = draw(st.one_of(st.integers(4, 12), st.integers(2, MOST_ROWS)))
    n = 1 if chance(draw, 40) else n
    d = draw(st.one_of(st.integers(1, 4), st.integers(1, MOST_COLUMNS)))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    kinds = draw(st.lists(st.sampled_from([*COLUMNS]), min_size=1, max_size=3))
    X = np.stack([COLUMNS[kinds[j % len(kinds)]](rng, n) for j in range(d)], 1).astype(float)
    if chance(draw, 5):  # duplicates
        X = X[rng.integers(0, max(1, n // 3), n)]
    return shaped(cast(X, draw(st.sampled_from(DTYPES))), draw(st.sampled_from(FORMS)))


def cast(X, dtype):
    if dtype == "uint8":
        X = np.clip(X, 0, 255)
    if dtype == "int64":
        X = np.clip(X, -(2.0**62), 2.0**62)
    return X.astype(dtype)


def shaped(X, form):
    if form in ("csr", "csc"):
        return sp.csr_array(X).asformat(form)
    if form == "columns_first":
        return np.asfortranarray(X)
    if form == "strided":
        return np.repeat(X, 2, axis=0)[::2]
    X.setflags(write=form != "read_only")
    return X


# Labels and weights -----------------------------------------------------------------------------

LABELS = {
    "whole": lambda codes: codes,
    "negative": lambda codes: -7 * codes,
    "huge": lambda codes: codes * 2**40,
    "floats": lambda codes: codes.astype(float),
    "strings": lambda codes: np.array([f"class {c}" for c in codes]),
    "objects": lambda codes: np.array([f"class {c}" for c in codes], dtype=object),
    "truths": lambda codes: codes % 2 == 1,
    "column": lambda codes: codes[:, None],
    "list": lambda codes: codes.tolist(),
}
BAD_LABELS = {
    "missing": lambda codes: np.array([None, *codes[1:]], dtype=object),
    "mixed": lambda codes: np.array(["a", *codes[1:]], dtype=object),
    "continuous": lambda codes: codes + 0.5 * np.arange(len(codes)) / len(codes) + 0.1,
    "not_a_number": lambda codes: np.where(codes == codes[0], np.nan, codes),
    "too_many": lambda codes: np.append(codes, codes[0]),
    "two_columns": lambda codes: np.stack([codes % 2, codes % 2], 1),
    "none_at_all": lambda codes: None,
}


@st.composite
def class_codes(draw, n):
    """Numbers of the classes of n rows: balanced or not, of one class or of as many as rows."""
    shape = draw(st.sampled_from(["even", "skewed", "rare", "many"]))
    K = draw(st.integers(2, 4))
    if chance(draw, 40):
        return np.zeros(n, int)
    if shape == "even":
        return np.arange(n) % K
    if shape == "rare":  # one row of the second class
        return (np.arange(n) == n // 2).astype(int)
    if shape == "skewed":
        return np.random.default_rng(draw(st.integers(0, 99))).geometric(0.6, n) % K
    return np.arange(n)


WEIGHTS = {
    "none": lambda rng, codes: None,
    "ones": lambda rng, codes: np.ones(len(codes)),
    "whole": lambda rng, codes: rng.integers(1, 4, len(codes)),
    "some_zero": lambda rng, codes: rng.integers(0, 3, len(codes)),
    "fractions": lambda rng, codes: rng.random(len(codes)),
    "small": lambda rng, codes: 1e-6 * rng.random(len(codes)),
    "large": lambda rng, codes: 1e6 * rng.random(len(codes)),
    "uneven": lambda rng, codes: 10.0 ** rng.integers(-6, 7, len(codes)),
    "a_class_of_zero": lambda rng, codes: (codes != codes[0]).astype(float),
}
BAD_WEIGHTS = {
    "negative": lambda rng, codes: -np.ones(len(codes)),
    "all_zero": lambda rng, codes: np.zeros(len(codes)),
    "not_a_number": lambda rng, codes: np.full(len(codes), np.nan),
    "infinite": lambda rng, codes: np.where(np.arange(len(codes)), 1.0, np.inf),
    "overflowing": lambda rng, codes: np.full(len(codes), 1e307),
    "underflowing": lambda rng, codes: np.full(len(codes), 1e-320),
    "too_many": lambda rng, codes: np.ones(len(codes) + 1),
    "a_string": lambda rng, codes: "balanced",
}
