"""Accuracy on short texts beside MLPClassifier, every estimator with its defaults.

    python examples/benchmarks/text.py
    python examples/benchmarks/text.py --test

The texts are docstrings of the standard library and of installed packages, read from their sources:
up to 225 of every topic, cut to 60 words, without the names of the topics. They depend on the
versions of the packages, which a result holds. 30 % of a corpus are held out, by class (seed 0).
Without `--test`, 30 % of the other rows are scored instead, and only the two corpora for
development are used, unless others are named, such as those of further packages. Estimators, and
the inner split, have each of the seeds.
"""

import argparse
import ast
import importlib.util
import platform
import re
import sysconfig
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
from results import emit
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from sklearn_ff import FFClassifier
from sklearn_ff.goodness import Readout

STANDARD = {
    "net": "email http urllib xmlrpc socket.py ssl.py smtplib.py imaplib.py ftplib.py mailbox.py",
    "parallel": "asyncio concurrent multiprocessing threading.py queue.py subprocess.py sched.py",
    "text": "json html xml csv.py configparser.py string.py textwrap.py argparse.py difflib.py",
    "tools": "unittest doctest.py pdb.py trace.py inspect.py ast.py dis.py logging typing.py",
}
PACKAGES = {
    "scipy": "stats signal sparse optimize linalg interpolate",
    "sklearn": "linear_model ensemble cluster preprocessing metrics decomposition",
    "torch": "nn distributed distributions fx utils ao",
}
FURTHER = {
    "sympy": "physics core functions solvers polys combinatorics stats matrices",
    "matplotlib": "axes backends tri patches.py transforms.py ticker.py figure.py collections.py "
    "widgets.py",
    "pandas": "io core/arrays core/indexes core/groupby plotting core/window core/strings",
    "sqlalchemy": "orm sql dialects engine ext util",
}
LIBRARIES = ("numpy", "scipy", "sklearn", "torch")
DEVELOPMENT = ["stdlib", "libraries"]
CORPORA = [*DEVELOPMENT, *PACKAGES]
PER_TOPIC, WORDS, FEWEST_WORDS = 225, 60, 15
REPRESENTATIONS = {
    "tfidf": lambda: TfidfVectorizer(min_df=2),
    "counts": lambda: CountVectorizer(min_df=2),
    "hashed": lambda: HashingVectorizer(n_features=1024),
}
READOUT = {
    **{"goodness": Readout(normalized=True), "objective": "softmax"},
    **{"optimizer_params": {}, "learning_rate_init": 5e-3},
}
MODELS = {
    "ff": lambda seed: FFClassifier(random_state=seed),
    "ff_readout": lambda seed: FFClassifier(**READOUT, random_state=seed),
    "ff_standard": lambda seed: FFClassifier(scaling="standard", random_state=seed),
    "mlp": lambda seed: MLPClassifier(random_state=seed),
}


def main():
    args = arguments()
    for name in args.corpora or (CORPORA if args.test else DEVELOPMENT):
        texts, labels = corpus(name)
        for kind in args.representations:
            for model in args.models:
                found = [score(model, kind, texts, labels, s, args.test) for s in args.seeds]
                accuracy, losses = map(list, zip(*found, strict=True))
                result = {"benchmark": "text", "rows": "test" if args.test else "inner"}
                result |= {"corpus": name, "texts": len(texts), "representation": kind}
                result |= {"model": model, "seeds": args.seeds, "accuracy": accuracy}
                result |= {"mean": float(np.mean(accuracy)), "spread": float(np.std(accuracy))}
                result |= {"log_loss": losses}
                emit(result | {"versions": versions()}, args.output)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpora", nargs="+", choices=[*CORPORA, *FURTHER])
    parser.add_argument("--representations", nargs="+", default=list(REPRESENTATIONS))
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=["ff", "mlp"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--test", action="store_true", help="score the rows held out")
    parser.add_argument("--output", help="file to append the results to")
    return parser.parse_args()


def versions():
    return {"python": platform.python_version()} | {name: version(name) for name in DISTRIBUTED}


DISTRIBUTED = ("numpy", "scipy", "scikit-learn", "torch")


def corpus(name):
    """Texts of every topic, and the topics."""
    topics = sources(name)
    names = re.compile("|".join([*topics, *LIBRARIES, "scikit", "tensor"]), re.IGNORECASE)
    draws = np.random.default_rng(0)
    texts, labels = [], []
    for topic, places in topics.items():
        found = {
            " ".join(names.sub(" ", text).split()[:WORDS])
            for place in places
            for text in docstrings(place)
        }
        some = draws.permutation(sorted(found))[:PER_TOPIC]
        texts += some.tolist()
        labels += [topic] * len(some)
    return np.array(texts, dtype=object), np.array(labels)


def sources(name):
    """Topics, and their files or folders."""
    if name == "stdlib":
        root = Path(sysconfig.get_paths()["stdlib"])
        return {topic: [root / file for file in files.split()] for topic, files in STANDARD.items()}
    if name == "libraries":
        return {package: [root_of(package)] for package in LIBRARIES}
    topics = (PACKAGES | FURTHER)[name].split()
    return {topic: [root_of(name) / topic] for topic in topics}


def root_of(package):
    return Path(importlib.util.find_spec(package).origin).parent


def docstrings(place):
    """Docstrings of modules, classes and functions under a path, without tests."""
    files = [place] if place.suffix == ".py" else sorted(place.rglob("*.py"))
    for file in files:
        if "test" in str(file.relative_to(place)).lower():
            continue
        for node in ast.walk(ast.parse(file.read_bytes())):
            documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
            text = ast.get_docstring(node) if isinstance(node, documented) else None
            if text and len(text.split()) >= FEWEST_WORDS:
                yield text


def score(model, kind, texts, labels, seed, test):
    """Accuracy and log-loss on held-out rows."""
    learn, hold = train_test_split(
        np.arange(len(labels)), test_size=0.3, stratify=labels, random_state=0
    )
    if not test:
        learn, hold = train_test_split(
            learn, test_size=0.3, stratify=labels[learn], random_state=seed
        )
    pipeline = make_pipeline(REPRESENTATIONS[kind](), MODELS[model](seed))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        pipeline.fit(texts[learn], labels[learn])
    p = pipeline.predict_proba(texts[hold])
    accuracy = np.mean(pipeline.classes_[p.argmax(1)] == labels[hold])
    return float(accuracy), float(log_loss(labels[hold], p))


if __name__ == "__main__":
    main()
