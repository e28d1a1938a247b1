"""Random tables, labels and parameters end in a sound estimator, or in an error that says why.

`python tests/fuzz.py --cases 2000` tries many more of them.
"""

import pytest
from properties import FITTED, check, check_life, counted
from random_parts import Context
from strategies import cases, lives, values

from sklearn_ff import FFClassifier, FFTransformer

ESTIMATORS = [FFClassifier, FFTransformer]
FIRST_SEED = 900  # the rounds from 0 repeat few refusals; over 240 cases three in four are fitted
both = pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda cls: cls.__name__)


@pytest.mark.slow
@both
def test_any_case_ends_in_a_sound_estimator_or_in_words(estimator):
    outcomes = counted(cases(estimator), check, n_cases=80, first_seed=FIRST_SEED)
    assert outcomes[FITTED] >= 0.6 * outcomes.total(), outcomes


@pytest.mark.slow
@both
def test_any_second_fit_works_or_does_not_change_the_estimator(estimator):
    outcomes = counted(lives(estimator), check_life, n_cases=20, first_seed=FIRST_SEED)
    assert outcomes[FITTED] >= 0.4 * outcomes.total(), outcomes


@both
def test_every_parameter_is_drawn(estimator):
    context = Context(n_features=4, labels=[0, 1], image_shape=(1, 2, 2))
    for name in estimator().get_params(deep=False):
        assert not values(estimator, name, context).is_empty
