"""Handlers of Ctrl-C around a fit: restored, called, and in threads."""

import signal
import threading

import pytest
from pressing import Press, classifier, interrupted, press
from sklearn.datasets import load_iris
from skorch.callbacks import Callback

from sklearn_ff import InterruptedFitWarning

X, y = load_iris(return_X_y=True)


@pytest.fixture
def handler():
    """Set a handler of SIGINT for one test."""
    before = signal.getsignal(signal.SIGINT)
    yield lambda kind: signal.signal(signal.SIGINT, kind)
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("kind", [signal.SIG_IGN, signal.SIG_DFL, signal.default_int_handler])
def test_the_previous_handler_is_restored(handler, kind):
    handler(kind)
    classifier().fit(X, y)
    assert signal.getsignal(signal.SIGINT) is kind
    with pytest.raises(RuntimeError):
        classifier(goodness=broken).fit(X, y)
    assert signal.getsignal(signal.SIGINT) is kind


def broken(h):
    raise RuntimeError


def test_ignored_presses_stay_ignored(handler):
    handler(signal.SIG_IGN)
    assert classifier(Press("on_batch_end", times=2)).fit(X, y).n_iter_ == 3


def test_a_users_handler_is_called(handler):
    heard = []

    def mine(signum, frame):
        heard.append(signum)

    handler(mine)
    assert classifier(Press("on_batch_end", times=2)).fit(X, y).n_iter_ == 3
    assert heard == [signal.SIGINT] * 2
    assert signal.getsignal(signal.SIGINT) is mine


def test_a_handler_that_raises_as_pythons_does_is_deferred_likewise(handler):
    heard = []

    def mine(signum, frame):
        heard.append(signum)
        raise KeyboardInterrupt

    handler(mine)
    interrupted(classifier(Press("on_grad_computed", 3)), X, y)
    with pytest.raises(KeyboardInterrupt):
        classifier(Press("on_grad_computed", 3, times=2)).fit(X, y)
    assert len(heard) == 3 and signal.getsignal(signal.SIGINT) is mine


def test_a_users_handler_can_raise_its_own_exception(handler):
    def leave(signum, frame):
        raise SystemExit(3)

    handler(leave)
    model = classifier(Press("on_grad_computed", 3))
    with pytest.raises(SystemExit):
        model.fit(X, y)
    assert not hasattr(model, "net_") and signal.getsignal(signal.SIGINT) is leave


def test_a_handler_set_during_a_fit_stays(handler):
    handler(signal.default_int_handler)

    class Set(Callback):
        def on_train_begin(self, net, **kwargs):
            signal.signal(signal.SIGINT, signal.SIG_IGN)

    classifier(Set()).fit(X, y)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_press_ends_a_fit_inside_a_fit_too():
    class Inner(Callback):
        def on_epoch_end(self, net, **kwargs):
            self.inner_ = classifier(Press("on_grad_computed", 3)).fit(X, y)

    inner = Inner()
    with pytest.warns(InterruptedFitWarning) as caught:
        model = classifier(inner).fit(X, y)
    assert len(caught) == 2
    assert inner.inner_.n_iter_ == 0 and model.n_iter_ == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_fit_in_another_thread_needs_no_handler():
    """A press reaches the main thread alone, and a fit elsewhere goes on."""
    begun, ended = threading.Event(), threading.Event()

    class Begin(Callback):
        def on_batch_end(self, net, **kwargs):
            begun.set()
            ended.wait(30)

    model = classifier(Begin())
    thread = threading.Thread(target=model.fit, args=(X, y))
    thread.start()
    assert begun.wait(30)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt):
        press()
    ended.set()
    thread.join()
    assert model.n_iter_ == 3
