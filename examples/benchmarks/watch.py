"""A callback that scores rows after epochs and prints the remaining time of a fit."""

import sys
import time

import torch
from skorch.callbacks import Callback

from sklearn_ff.core.prediction import label_scores
from sklearn_ff.predictions import checked_rule

PART = 1000  # rows scored at once
SECONDS = 10  # between lines of progress


class Watch(Callback):
    """Errors of X, y by every rule, after every `every` epochs (0: never) and the last one."""

    def __init__(self, title, X, y, rules, every):
        self.title, self.X, self.y = title, X, y
        self.rules, self.every = rules, every

    def on_train_begin(self, net, **kwargs):
        self.start_ = self.told_ = time.perf_counter()

    def on_epoch_end(self, net, **kwargs):
        epoch, start, started = len(net.history), time.perf_counter(), time.process_time()
        due = self.every and (epoch % self.every == 0 or epoch == net.max_epochs)
        watched = {"epoch": epoch} if due else {}
        for rule in self.rules if due else ():
            watched[f"error_{rule}"] = error(net.module_, self.X, self.y, rule)
        net.history.record("watched", watched)
        net.history.record("seconds_watching", time.perf_counter() - start)
        net.history.record("processor_seconds_watching", time.process_time() - started)
        self.tell(epoch, net.max_epochs, net.history[-1, "train_loss"], watched)

    def tell(self, epoch, epochs, loss, watched):
        now = time.perf_counter()
        if now - self.told_ < SECONDS and epoch < epochs:
            return
        self.told_ = now
        left = (now - self.start_) / epoch * (epochs - epoch)
        found = [f", {name} {value:.4f}" for name, value in watched.items() if name != "epoch"]
        text = f"{self.title}: epoch {epoch} of {epochs}, loss {loss:.4g}{''.join(found)}"
        print(f"{text}, {left / 60:.1f} minutes left", file=sys.stderr, flush=True)


@torch.no_grad()
def error(network, X, y, rule):
    """Error of the last epoch's weights; y are codes of classes."""
    network.eval()
    wrong, shift = 0, network.scaler.shift
    for start in range(0, len(y), PART):
        part = slice(start, start + PART)
        x = network.scaler(torch.as_tensor(X[part], dtype=shift.dtype, device=shift.device))
        scores = label_scores(network, x, checked_rule(rule), network.head_layers)
        wrong += int((scores.argmax(1).cpu().numpy() != y[part]).sum())
    return wrong / max(1, len(y))
