"""Interrupts by signals, in processes of their own too, and by callbacks."""

import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
from pressing import Press, interrupted
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback

from sklearn_ff import FFClassifier, InterruptedFitWarning

X, y = load_iris(return_X_y=True)


def classifier(**params):
    return FFClassifier((16, 12), **{"max_iter": 20, "random_state": 0, **params})


def test_an_interrupt_after_the_last_batch_is_reported():
    class Late(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 3:
                signal.raise_signal(signal.SIGINT)

    with pytest.warns(InterruptedFitWarning, match="interrupted after"):
        model = classifier(max_iter=3, callbacks=[Late()]).fit(X, y)
    assert model.n_iter_ == 3


@pytest.mark.fault("F1")
@pytest.mark.parametrize(
    "hook, at",
    [("on_epoch_begin", 3), ("on_batch_begin", 8), ("on_grad_computed", 16), ("on_epoch_end", 2)],
)
@pytest.mark.parametrize(
    "early, schedule", [(False, "simultaneous"), (True, "simultaneous"), (False, "greedy")]
)
def test_an_interrupt_keeps_what_is_learned(hook, at, early, schedule):
    params = {"batch_size": 50, "learning_rate_init": 0.02, "early_stopping": early}
    model = classifier(max_iter=50, schedule=schedule, callbacks=[Press(hook, at)], **params)
    interrupted(model, X, y)
    assert model.n_iter_ < 9
    assert model.score(X, y) > 0.5 and np.isfinite(model.predict_proba(X)).all()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.fault("F2")
def test_an_interrupt_before_any_update_goes_through():
    model = classifier(callbacks=[Press("on_train_begin")])
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    with pytest.raises(NotFittedError):
        model.predict(X)


class Stopping(Callback):
    def on_epoch_end(self, net, **kwargs):
        raise KeyboardInterrupt


def test_a_callback_that_raises_keyboard_interrupt_means_stop():
    with warnings.catch_warnings():
        warnings.simplefilter("error", InterruptedFitWarning)
        assert classifier(callbacks=[Stopping()]).fit(X, y).n_iter_ == 1


@pytest.mark.fault("F2")
def test_a_callback_that_ends_training_before_it_began_leaves_nothing_fitted():
    class Impatient(Callback):
        def on_train_begin(self, net, **kwargs):
            raise KeyboardInterrupt

    impatient = classifier(callbacks=[Impatient()])
    with pytest.raises(KeyboardInterrupt, match="before it began"):
        impatient.fit(X, y)
    with pytest.raises(NotFittedError):
        impatient.predict(X)


PROGRAM = """
import sys, warnings
import numpy as np
from sklearn.datasets import load_digits
from skorch.callbacks import Callback, Checkpoint
from sklearn_ff import FFClassifier, InterruptedFitWarning
X, y = load_digits(return_X_y=True)

class Begin(Callback):
    told = False
    def on_batch_end(self, net, **kw):
        if not self.told:
            self.told = True
            print("learning", flush=True)

m = FFClassifier((64, 64), max_iter=100_000, random_state=0, callbacks=[Begin()])
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    try:
        m.fit(X, y)
    except KeyboardInterrupt:
        print("passed", hasattr(m, "net_"))
        sys.exit()
print(caught[0].category.__name__, np.isfinite(m.predict_proba(X)).all())
"""


# A batch that lasts long enough for two presses.
SLOW = "from time import sleep\n" + PROGRAM.replace("flush=True)", "flush=True); sleep(5)")


@pytest.mark.slow
@pytest.mark.fault("F3")
@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no Ctrl-C to one process")
@pytest.mark.parametrize("presses, said", [(1, "InterruptedFitWarning True"), (2, "passed False")])
def test_real_signals(presses, said):
    command = [sys.executable, "-c", PROGRAM if presses == 1 else SLOW]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().strip() == "learning"
        for _ in range(presses):
            process.send_signal(signal.SIGINT)
            time.sleep(0.3)
        out, _ = process.communicate(timeout=120)
    assert out.strip() == said and process.returncode == 0
