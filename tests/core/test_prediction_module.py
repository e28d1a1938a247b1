"""A network as an ordinary torch module: called on raw rows, differentiated, in any mode."""

import copy
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from devices import array, put
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris
from skorch.callbacks import Callback, Freezer

from sklearn_ff.schedules import Greedy

from .networks import (
    CLASSIFIERS,
    DIGIT,
    DIGITS,
    TRANSFORMERS,
    classifier,
    fitted,
    quietly,
    transformer,
)

ROWS = put(DIGITS)
IRIS, SPECIES = load_iris(return_X_y=True)


def probabilities(model, X):
    """Of the network, for rows as they are."""
    with torch.no_grad():
        return array(model.net_.module_(put(X)).softmax(1))


def check_alike(model, X):
    """Probabilities of the network are those of the estimator."""
    X = np.asarray(X, np.float64)
    p = model.predict_proba(X)
    np.testing.assert_allclose(probabilities(model, X), p, rtol=0, atol=1e-6)
    assert p.max() - p.min() > 0.01, "the network tells nothing apart"
    single = X.astype(np.float32)
    found = probabilities(model, single)
    np.testing.assert_allclose(found, model.predict_proba(single), rtol=0, atol=3e-5)


# What is returned -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_softmax_gives_the_probabilities(name):
    check_alike(fitted(name), DIGITS)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_log_probabilities_sum_to_one(name):
    total = fitted(name).net_.module_(ROWS[:20]).exp().sum(1)
    torch.testing.assert_close(total, torch.ones_like(total))


@pytest.mark.parametrize("scaling", ["auto", "standard", "shared", "global", "sparse", None])
def test_rows_are_scaled_as_by_the_estimator(scaling):
    check_alike(quietly(classifier(scaling=scaling), DIGITS, DIGIT), DIGITS)


@pytest.mark.parametrize("scaling", ["standard", "shared"])
def test_columns_may_vary_little_around_large_values(scaling):
    X = IRIS + np.array([1e6, -1e6, 1e8, 0.0])
    model = quietly(classifier(scaling=scaling, precision="auto", max_iter="auto"), X, SPECIES)
    np.testing.assert_allclose(probabilities(model, X), model.predict_proba(X), rtol=0, atol=1e-6)
    assert model.score(X, SPECIES) > 0.9


def test_two_classes():
    X, y = load_breast_cancer(return_X_y=True)
    check_alike(quietly(classifier(max_iter="auto"), X[:200], y[:200]), X[200:])


def test_many_classes():
    X = np.random.default_rng(0).normal(size=(120, 6))
    check_alike(quietly(classifier(max_iter=20), X, np.arange(120) // 2), X)


@pytest.mark.parametrize("precision", ["auto", "float64"])
def test_small_tables(precision):
    model = quietly(classifier(precision=precision, max_iter="auto"), IRIS, SPECIES)
    check_alike(model, IRIS)


@pytest.mark.parametrize("how", [pickle.dumps, copy.deepcopy, copy.copy])
@pytest.mark.parametrize("name", ["dense", "conv", "hybrid", "module"])
def test_copies_return_the_same(how, name):
    model = how(fitted(name))
    model = pickle.loads(model) if isinstance(model, bytes) else model
    again, first = (one.net_.module_(ROWS) for one in (model, fitted(name)))
    torch.testing.assert_close(again, first, rtol=0, atol=0)


@pytest.mark.parametrize("how", [lambda m: pickle.loads(pickle.dumps(m)), copy.deepcopy])
def test_the_network_itself_may_be_copied(how):
    module = fitted("conv").net_.module_
    torch.testing.assert_close(how(module)(ROWS), module(ROWS), rtol=0, atol=0)


@pytest.mark.filterwarnings("ignore")
def test_after_partial_fit_and_warm_start():
    model = classifier().partial_fit(DIGITS[:100], DIGIT[:100], classes=np.arange(10))
    check_alike(model, DIGITS)
    check_alike(model.partial_fit(DIGITS[100:], DIGIT[100:]), DIGITS)
    model = classifier(warm_start=True).fit(DIGITS, DIGIT)
    check_alike(model.set_params(max_iter=1).fit(DIGITS[:200], DIGIT[:200]), DIGITS)


class Ends(Callback):
    def on_epoch_end(self, net, **kwargs):
        raise KeyboardInterrupt  # as skorch's callbacks end a fit


@pytest.mark.parametrize("rule", ["goodness", "hybrid", "head"])
@pytest.mark.parametrize("layers", ["all", [1]])
def test_after_a_greedy_fit_that_was_cut_short(rule, layers):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = classifier(
            schedule="greedy", prediction=rule, prediction_layers=layers, callbacks=[Ends()]
        ).fit(DIGITS, DIGIT)
    assert model.net_.module_.depth == 1
    check_alike(model, DIGITS)
    check_alike(pickle.loads(pickle.dumps(model)), DIGITS)


def test_labels_that_are_often_false_have_a_rate_of_slips():
    false = np.random.default_rng(0).uniform(size=300) < 0.1
    model = quietly(classifier(max_iter=20), DIGITS, np.where(false, (DIGIT + 1) % 10, DIGIT))
    assert model.slips_ > 1e-3
    check_alike(model, DIGITS)


def test_what_is_set_after_the_fit_counts():
    model = copy.deepcopy(fitted("hybrid"))
    before = probabilities(model, ROWS)
    for change in ({"slips_": 0.3}, {"scale_": 3.0}):
        vars(model).update(change)
        check_alike(model, DIGITS)
        assert abs(probabilities(model, ROWS) - before).max() > 0.01
    for rule in ("head", "goodness", "last", "softmax_sum"):
        check_alike(model.set_params(prediction=rule), DIGITS)
        check_alike(pickle.loads(pickle.dumps(model)), DIGITS)


def test_a_rule_that_cannot_serve_is_refused():
    model = quietly(classifier(negatives="uniform"), DIGITS, DIGIT).set_params(prediction="head")
    with pytest.raises(ValueError, match="prediction='head' needs a softmax head"):
        _ = model.net_


def test_an_estimator_has_no_net_before_its_fit():
    assert not hasattr(classifier(), "net_") and not hasattr(clone(fitted("dense")), "net_")


@pytest.mark.parametrize("name", TRANSFORMERS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_transformer_returns_its_features(name, dtype):
    model, X = quietly(transformer(**TRANSFORMERS[name]), DIGITS, DIGIT), DIGITS.astype(dtype)
    for one in (model, pickle.loads(pickle.dumps(model))):
        with torch.no_grad():
            found = array(one.net_.module_(put(X)))
        np.testing.assert_allclose(found, model.transform(X), rtol=1e-4, atol=1e-5)
        assert found.shape[1] == len(model.get_feature_names_out())


def test_the_kind_of_features_may_be_set_after_the_fit():
    model = quietly(transformer(), DIGITS, DIGIT).set_params(output="triangle")
    with torch.no_grad():
        found = array(model.net_.module_(ROWS))
    np.testing.assert_allclose(found, model.transform(DIGITS), rtol=1e-4, atol=1e-5)


# Rows -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32"]
)
def test_rows_of_any_number(dtype):
    rows = ROWS.to(getattr(torch, dtype))  # the values 0 to 16, exactly
    found = fitted("dense").net_.module_(rows).exp()
    atol = 1e-6 if dtype in ("int32", "int64") else 3e-5
    p = put(fitted("dense").predict_proba(DIGITS))
    torch.testing.assert_close(found, p, rtol=0, atol=atol, check_dtype=False)


@pytest.mark.parametrize("size", [2**20, 2**40, 2**60])
def test_large_integers_keep_their_digits(size):
    X = (10 * IRIS).round().astype(np.int64) + size
    model = quietly(classifier(max_iter="auto"), X, SPECIES)
    np.testing.assert_allclose(probabilities(model, X), model.predict_proba(X), rtol=0, atol=1e-6)
    assert model.score(X, SPECIES) > 0.9


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_of_any_layout(dtype):
    rows, module = ROWS.to(dtype), fitted("conv").net_.module_
    whole = module(rows)
    for some, part in [
        (rows.T.contiguous().T, slice(None)),
        (rows[::3], slice(None, None, 3)),
        (rows[:1], slice(0, 1)),
        (rows[:0], slice(0, 0)),
        (torch.cat([rows, rows], 1)[:, :64], slice(None)),
    ]:
        before = some.clone()
        torch.testing.assert_close(module(some), whole[part], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(some, before, rtol=0, atol=0)


@pytest.mark.parametrize("shape", [(3, 1), (3, 65), (64,), (3, 1, 64), (3, 8, 8)])
def test_rows_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"rows of 64 features.*of shape \(" + str(shape[0])):
        fitted("dense").net_.module_(put(torch.zeros(shape)))


# Modes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_training_mode_changes_nothing(name, dtype):
    module, rows = copy.deepcopy(fitted(name).net_.module_), ROWS[:40].to(dtype)
    before = copy.deepcopy(module.state_dict())
    expected, slope = differentiated(module, rows)
    found, steep = differentiated(module.train(), rows)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(steep, slope, rtol=1e-4, atol=1e-5)
    assert module.training and all(part.training for part in module.modules())
    for key, value in module.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_gradients(mode, dtype):
    for name in ("dense", "conv", "hybrid", "module"):
        module, rows = fitted(name).net_.module_, ROWS.to(dtype)
        with mode():
            found = module(rows)
        assert not found.requires_grad
        torch.testing.assert_close(found.clone(), module(rows).detach(), rtol=1e-5, atol=1e-5)


def test_net_read_in_inference_mode_has_gradients_later():
    model = pickle.loads(pickle.dumps(fitted("dense")))
    with torch.inference_mode():
        module = model.net_.module_
    assert differentiated(module, ROWS[:3])[1].abs().sum() > 0


def test_a_gradient_outlives_another_look_at_net():
    model, rows = fitted("hybrid"), ROWS[:3].clone().requires_grad_()
    found = model.net_.module_(rows)
    _ = model.net_
    found[:, 0].sum().backward()
    assert torch.isfinite(rows.grad).all()


def test_calls_in_threads_do_not_meet():
    module = fitted("conv").net_.module_
    kinds = [ROWS[:50].float(), ROWS[:50].double()] * 20
    expected = [module(rows).detach() for rows in kinds]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda rows: module(rows).detach(), kinds))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_state_dict_holds_what_is_learned():
    names = set(fitted("hybrid").net_.module_.state_dict())
    assert not [name for name in names if name.startswith("answer")]
    assert {"layers.0.affine.weight", "head.weight"} <= names


# Gradients --------------------------------------------------------------------------------------


def differentiated(module, rows):
    """Log-probabilities, and the gradient of those of the likeliest classes."""
    rows = rows.clone().requires_grad_()
    out = module(rows)
    out.amax(1).sum().backward()
    return out.detach(), rows.grad


def differences(module, rows, step=1e-5):
    """Of the log-probability of the likeliest class, column by column."""
    with torch.no_grad():
        first = module(rows).argmax(1, keepdim=True)
        moves = step * torch.eye(rows.shape[1], dtype=rows.dtype, device=rows.device)
        return torch.stack(
            [
                (module(rows + m) - module(rows - m)).gather(1, first)[:, 0] / (2 * step)
                for m in moves
            ],
            1,
        )


def check_gradients(model, rows=ROWS[:5]):
    module = model.net_.module_
    found = differentiated(module, rows)[1]
    assert found.abs().max() > 1e-3
    torch.testing.assert_close(found, differences(module, rows), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", sorted(set(CLASSIFIERS) - {"early_exit"}))
def test_gradients_are_those_of_differences(name):
    check_gradients(fitted(name))


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:FutureWarning")  # torch's own
@pytest.mark.parametrize("name", [name for name in CLASSIFIERS if name != "early_exit"])
def test_transforms_of_torch_differentiate_it_once_and_twice(name):
    module, rows = fitted(name).net_.module_, ROWS[:2]

    def first(row):
        return module(row[None])[0, 0]

    found = torch.func.vmap(torch.func.grad(first))(rows)
    given = rows.clone().requires_grad_()
    (slopes,) = torch.autograd.grad(module(given)[:, 0].sum(), given)
    torch.testing.assert_close(found, slopes, rtol=1e-6, atol=1e-9)
    curved = torch.func.hessian(first)(rows[0])  # forward over reverse
    twice = torch.autograd.functional.hessian(first, rows[0])
    torch.testing.assert_close(curved, twice, rtol=1e-5, atol=1e-9)


def test_slips_count_in_gradients():
    model = copy.deepcopy(fitted("dense"))
    model.slips_ = 0.3
    check_gradients(model)


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_gradients_of_features(name):
    model, rows = quietly(transformer(**TRANSFORMERS[name]), DIGITS, DIGIT), ROWS[:2]
    torch.autograd.gradcheck(model.net_.module_, rows.clone().requires_grad_(), atol=1e-4)


def test_gradients_reach_rows_through_every_layer():
    """The last layer alone decides, so a graph cut below it would leave none."""
    model = fitted("last")
    for part in (model, pickle.loads(pickle.dumps(model))):
        assert differentiated(part.net_.module_, ROWS[:5].float())[1].abs().amax(1).min() > 1e-4


@pytest.mark.parametrize("schedule, at", [("simultaneous", 2), ("greedy", 6), (Greedy(), 6)])
def test_gradients_reach_rows_after_layers_were_frozen(schedule, at):
    callbacks = [Freezer("layers.0.*", at=at)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = classifier(schedule=schedule, callbacks=callbacks, max_iter=4)
        model.fit(DIGITS, DIGIT)
    check_gradients(model)


def test_gradients_reach_the_weights():
    """As of any module, so that a network may be trained further by other means."""
    for dtype in (torch.float32, torch.float64):
        module = copy.deepcopy(fitted("dense").net_.module_)
        torch.nn.functional.nll_loss(module(ROWS.to(dtype)), put(DIGIT)).backward()
        grads = [p.grad for p in module.layers.parameters()]
        assert all(g is not None and g.abs().sum() > 0 for g in grads)
