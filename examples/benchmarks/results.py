"""One JSON line per result, printed and, with a file, appended to it."""

import json
import platform
from importlib.metadata import version
from pathlib import Path

import torch


def emit(result, output=None):
    line = json.dumps(result)
    print(line, flush=True)
    if output:
        Path(output).parent.mkdir(parents=True, exist_ok=True)
        with open(output, "a", encoding="utf-8") as file:
            file.write(line + "\n")


def machine():
    """Facts of the machine on which speed depends."""
    able = getattr(torch.cpu, "get_capabilities", dict)()
    names = ("avx2", "avx512_f", "avx512_bf16", "amx_bf16")
    return {
        "processor": str(able.get("cpu_name", platform.processor())),
        "instructions": [name for name in names if able.get(name)],
        "torch": version("torch"),
        "scikit_learn": version("scikit-learn"),
    }
