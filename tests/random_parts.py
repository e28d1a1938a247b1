"""Parts for the property tests: names, objects with random legal parameters, callables.

Parts come from the registries and the public classes of each family, and their parameters from the
signatures, so that a part that is added later is drawn without an edit.
"""

import inspect
import re
import sys
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from hypothesis import strategies as st
from torch import nn

from sklearn_ff import register
from sklearn_ff.layers import Conv2d


def sine(a):
    return torch.sin(a)


def mean_absolute(h):
    return h.abs().mean(-1)


def hinge(scores):
    return (1 - scores[:, :1] + scores[:, 1:]).clamp_min(0).mean(1)


def next_label(y, n_classes, draws):
    return (y[:, None] + 1) % n_classes


def first_columns(n_features, n_classes):
    return np.eye(n_classes, n_features)


def mirrored(image):
    return image.flip(-1)


def louder(x, draws):
    return 2 * x + 1


def dense_module(shape):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(3), nn.Dropout(0.2))


def normal_module(shape):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(4), nn.BatchNorm1d(4))


def strongest(evidence):
    return torch.stack([g for _, g in evidence.layers()]).amax(0)


CALLABLES = {
    "activation": sine,
    "goodness": mean_absolute,
    "objective": hinge,
    "negatives": next_label,
    "overlay": first_columns,
    "augmentation": mirrored,
    "prediction": strongest,
}
for _function in (*CALLABLES.values(), louder, dense_module, normal_module):
    register(_function.__name__)(_function)


def implementations(family):
    """The family's classes: registered ones, and public ones that users make themselves."""
    found, to_see = {c for c in family.registry.values() if inspect.isclass(c)}, [family.base]
    while to_see:
        cls = to_see.pop()
        to_see += cls.__subclasses__()
        if is_public(cls) and cls is not family.base and not vars(cls).get("abstract", False):
            found.add(cls)
    return sorted(found, key=lambda cls: cls.__name__)


def is_public(cls):
    names = getattr(sys.modules[cls.__module__], "__all__", ())
    return cls.__module__.startswith("sklearn_ff") and cls.__name__ in names


@dataclass
class Context:
    """What of the data parts and parameters may refer to."""

    n_features: int
    labels: list
    image_shape: tuple
    n_layers: int = 1

    @property
    def of_parts(self):
        """Parameters of parts whose default does not show their type."""
        d = self.n_features
        return {
            "rows": st.sampled_from([np.ones((3, d)), np.eye(d), np.zeros((1, d + 1))]),
            "classes": st.sampled_from([self.labels[:1], self.labels[-1:], []]),
            "function": st.sampled_from([louder]),
            "transform": st.sampled_from([mirrored]),
            "image_shape": st.sampled_from([None, self.image_shape]),
            "norm": st.sampled_from([None, "batch"]),
            "kinds": st.sampled_from([[3, 4], [d], (4, 3, d), [Conv2d(2), 3], [Conv2d(2)]]),
            "factory": st.sampled_from([dense_module, normal_module]),
            "matrix": st.sampled_from([None, np.eye(len(self.labels), d)]),
        }


NUMBERS = [0.0, 1e-12, 1e-3, 0.1, 0.5, 1.0, 2.0, 5.0, 1e3, 1e6, 1e30]


@cache
def choices(cls, name):
    """The strings that a part takes for a parameter, as its own refusal lists them."""
    try:
        made(cls, {name: "?"}).check()
    except (ValueError, TypeError) as error:
        return [text for text in re.findall(r"'(\w+)'", str(error)) if text != "?"]
    return []


def made(cls, params):
    """A part; parameters without a default, if not given, stay None."""
    signature = inspect.signature(cls).parameters.values()
    needed = {p.name: None for p in signature if p.default is p.empty}
    return cls(**{**needed, **params})


def like(cls, name, default, context):
    """Values for a part's parameter: of the kind of its default, or what the context has."""
    if name in context.of_parts:
        return context.of_parts[name]
    if isinstance(default, bool):
        return st.booleans()
    if isinstance(default, int):
        return st.integers(1, 4)
    if isinstance(default, float):
        return st.sampled_from(NUMBERS)
    return st.sampled_from([default, default, *choices(cls, name), 1, *NUMBERS])


def legal(part):
    try:
        part.check()
    except ValueError:
        return False
    return True


@st.composite
def part_objects(draw, cls, context):
    """A part of the class with random parameters that pass its own check."""
    params = {}
    for name, parameter in inspect.signature(cls).parameters.items():
        if parameter.default is parameter.empty or draw(st.booleans()):
            params[name] = draw(like(cls, name, parameter.default, context))
    part = made(cls, params)
    while not legal(part) and params:  # the last ones go first: defaults are legal
        params.popitem()
        part = made(cls, params)
    return part


def parts(family, context):
    """A name, an object or a callable that stands for a part of the family."""
    found = [st.sampled_from(family.names)] if family.names else []
    found += [part_objects(cls, context) for cls in implementations(family)]
    if family.wrap is not None:
        found.append(st.just(CALLABLES[family.parameter]))
    one = st.one_of(found)
    if family.in_turn is not None:
        return st.one_of(one, one, st.lists(one, min_size=1, max_size=2))
    if family.per_layer is None:
        return one
    return st.one_of(one, one, st.lists(one, min_size=context.n_layers, max_size=context.n_layers))
