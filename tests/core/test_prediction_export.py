"""Networks as graphs for any number of rows: torch.export, torch.compile, ONNX in onnxruntime.

Networks on the CPU, where onnxruntime computes too.
"""

import copy
import shutil
import warnings

import numpy as np
import pytest
import torch

from .networks import CLASSIFIERS, DIGIT, DIGITS, TRANSFORMERS, fitted, quietly, transformer

ROWS = torch.from_numpy(DIGITS).float()
SIZES = [1, 7, 100]
BATCH = ({0: torch.export.Dim("rows")},)
CLOSE = {"rtol": 1e-5, "atol": 1e-5}
# Of all operators: normalised, pooled and local maps, blocks, sorting, ranking, early exits.
OPERATORS = {"conv", "local", "blocks", "hybrid of three", "replaced columns", "early_exit"}
thorough = [pytest.mark.slow, pytest.mark.thorough]


def marked(names, usual):
    """Cases of which those that are not usual are thorough."""
    return [name if name in usual else pytest.param(name, marks=thorough) for name in names]


def transforming(name):
    return quietly(transformer(**TRANSFORMERS[name], device="cpu"), DIGITS, DIGIT).net_.module_


def exported(module, rows=ROWS[:3]):
    return torch.export.export(module, (rows,), dynamic_shapes=BATCH).module()


@pytest.fixture(scope="module")
def onnx_session():
    for name in ("onnx", "onnxscript"):
        pytest.importorskip(name)
    onnxruntime = pytest.importorskip("onnxruntime")

    def session(module, rows=ROWS[:3]):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporter's own code
            program = torch.onnx.export(
                module, (rows,), dynamo=True, dynamic_shapes=BATCH, input_names=["X"], verbose=False
            )
        model = program.model_proto.SerializeToString()
        return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])

    return session


def check_graph(graph, module, rows=ROWS):
    for size in SIZES:
        found = torch.as_tensor(graph(rows[:size]))
        with torch.no_grad():
            torch.testing.assert_close(found.detach(), module(rows[:size]), **CLOSE)


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_export(name):
    module = fitted(name, "cpu").net_.module_
    check_graph(exported(module), module)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, dtype", [("dense", torch.int64), ("conv", torch.float64), ("hybrid", torch.uint8)]
)
def test_export_for_rows_of_other_numbers(name, dtype):
    module, rows = fitted(name, "cpu").net_.module_, ROWS.to(dtype)
    check_graph(exported(module, rows[:3]), module, rows)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_export_without_gradients(mode):
    module = fitted("dense", "cpu").net_.module_
    with mode():
        graph = exported(module)
    check_graph(graph, module)


def test_export_in_training_mode():
    module = copy.deepcopy(fitted("conv", "cpu").net_.module_)
    expected = copy.deepcopy(module)
    check_graph(exported(module.train()), expected)


@pytest.mark.parametrize("name", ["rows", "labels", "triangle", "maps"])
def test_export_of_features(name):
    module = transforming(name)
    check_graph(exported(module), module)


def test_an_exported_program_is_saved_and_loaded(tmp_path):
    module = fitted("hybrid", "cpu").net_.module_
    program = torch.export.export(module, (ROWS[:3],), dynamic_shapes=BATCH)
    torch.export.save(program, tmp_path / "network.pt2")
    check_graph(torch.export.load(tmp_path / "network.pt2").module(), module)


@pytest.mark.slow
@pytest.mark.parametrize("name", marked(CLASSIFIERS, OPERATORS))
def test_onnx(name, onnx_session):
    module = fitted(name, "cpu").net_.module_
    session = onnx_session(module)
    check_graph(lambda rows: session.run(None, {"X": rows.numpy()})[0], module)


@pytest.mark.slow
def test_onnx_of_features(onnx_session):
    module = transforming("maps")
    session = onnx_session(module)
    check_graph(lambda rows: session.run(None, {"X": rows.numpy()})[0], module)


@pytest.mark.slow
def test_onnx_decides_between_equal_logits_as_torch_does(onnx_session):
    """A head that has learned nothing: the shortlist is then the first labels."""
    model = copy.deepcopy(fitted("hybrid", "cpu"))
    with torch.no_grad():
        for weights in model.net_.module_.head.parameters():
            weights.zero_()
    found = onnx_session(model.net_.module_).run(None, {"X": DIGITS.astype(np.float32)})[0]
    np.testing.assert_allclose(np.exp(found), model.predict_proba(DIGITS), atol=3e-5)


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.slow
@pytest.mark.parametrize(
    "name", marked(["dense", "conv", "readout", "head", "hybrid", "module"], {"hybrid"})
)
@pytest.mark.filterwarnings("ignore")
def test_compile(name):
    torch.compiler.reset()
    module = copy.deepcopy(fitted(name, "cpu").net_.module_)
    check_graph(torch.compile(module), module)
