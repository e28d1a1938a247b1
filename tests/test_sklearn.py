"""scikit-learn's own checks, those it gives to everybody and those it keeps for itself."""

import warnings

import pytest
from devices import ON_CPU
from sklearn.base import clone
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_estimator

from sklearn_ff import FFClassifier, FFOutlierDetector, FFTransformer

ESTIMATORS = [FFClassifier(max_iter=25, learning_rate_init=1e-2), FFTransformer(16, max_iter=4)]
EVERY = [*ESTIMATORS, FFOutlierDetector(FFTransformer(8, max_iter=1))]
WEIGHTS = {f"check_sample_weight_equivalence_on_{kind}_data" for kind in ("dense", "sparse")}
FEATURES = {"check_transformer_general", "check_transformer_preserve_dtypes"}
EXPECTED = {  # among others
    "FFClassifier": WEIGHTS | FEATURES,
    "FFTransformer": WEIGHTS | FEATURES,
    "FFOutlierDetector": {"check_outliers_fit_predict", "check_outliers_train"},
}


@pytest.mark.slow
@pytest.mark.fault("A1")
@pytest.mark.parametrize("estimator", EVERY, ids=[*EXPECTED])
@pytest.mark.filterwarnings("ignore")
def test_check_estimator_passes_without_failure_skip_or_exception(estimator):
    results = check_estimator(estimator, on_fail=None, on_skip=None)
    not_passed = {r["check_name"]: r["exception"] for r in results if r["status"] != "passed"}
    if not ON_CPU:  # which sums in another order where rows are others, and a fit amplifies this
        not_passed.pop("check_sample_weight_equivalence_on_dense_data", None)
        not_passed.pop("check_sample_weight_equivalence_on_sparse_data", None)
    assert not not_passed
    names = {r["check_name"] for r in results}
    assert EXPECTED[type(estimator).__name__] <= names


KEPT = [
    "check_param_validation",
    "check_dataframe_column_names_consistency",
    "check_inplace_ensure_writeable",
    "check_all_zero_sample_weights_error",
]


@pytest.mark.fault("A2")
@pytest.mark.parametrize("name", [n for n in KEPT if hasattr(estimator_checks, n)])
@pytest.mark.filterwarnings("ignore")
def test_checks_of_scikit_learns_own_estimators_pass(name):
    getattr(estimator_checks, name)("FFClassifier", FFClassifier(max_iter=20))


OF_TRANSFORMERS = [
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=["FFClassifier", "FFTransformer"])
@pytest.mark.parametrize("name", [n for n in OF_TRANSFORMERS if hasattr(estimator_checks, n)])
@pytest.mark.filterwarnings("ignore")
def test_checks_of_scikit_learns_own_transformers_pass(name, estimator):
    brief = clone(estimator).set_params(max_iter=3)
    getattr(estimator_checks, name)(type(estimator).__name__, brief)


@pytest.mark.fault("A7")
def test_early_stopping_with_a_data_frame_warns_of_nothing():
    pandas = pytest.importorskip("pandas")
    from sklearn.datasets import load_iris

    X, y = load_iris(return_X_y=True, as_frame=True)
    assert isinstance(X, pandas.DataFrame)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FFClassifier(early_stopping=True, max_iter=5, random_state=0).fit(X, y)
