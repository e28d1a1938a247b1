"""Where the networks of tests lie: on the GPU, if there is one, else on the CPU."""

import numpy as np
import torch

from sklearn_ff._machine import pick_device

DEVICE = pick_device("auto")
ON_CPU = torch.device(DEVICE).type == "cpu"


def put(values):
    """An array or a tensor as a tensor beside the networks."""
    return torch.as_tensor(values).to(DEVICE)


def array(tensor):
    """A tensor of any device as a numpy array."""
    return np.asarray(tensor.detach().cpu())


def arrays(model):
    """The weights of a fitted estimator as numpy arrays."""
    return {name: array(value) for name, value in model.net_.module_.state_dict().items()}
