"""Write what went in and what came out of every case: `python -m parity.oracle [case ...]`.

One safetensors file per case, in float64: `input/...`, `output/...`, and for single blocks `state/...`, all
parameters and buffers by mace-torch's names. For whole models the file that mace-torch saves, too, and
`passed/...`, what each block got and put out, and `single/...`, the output in float32.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import time
from functools import cache
from pathlib import Path

import mace
import torch
from mace.modules import radial, symmetric_contraction
from mace.modules.wrapper_ops import CUET_AVAILABLE
from safetensors.torch import save_file

from parity.cases import BASIS, MODELS, NETWORKS, PRODUCTS, RADIALS
from parity.oracle.blocks import basis, chebyshev, distances, network, product
from parity.oracle.common import RESULTS, Tensors
from parity.oracle.models import model


def main(names: list[str]) -> None:
    """Run the named cases, or all of them."""
    if mace.__version__ != "0.3.16" or not CUET_AVAILABLE:
        sys.exit("the oracle is mace-torch 0.3.16 with cuequivariance-torch: see parity/requirements.txt")
    logging.disable()
    torch.set_default_dtype(torch.float64)
    # couplings depend on nothing but the arguments, and take mace-torch seconds each
    symmetric_contraction.U_matrix_real = cache(symmetric_contraction.U_matrix_real)
    radial.ChebychevBasis.forward = chebyshev

    started = time.perf_counter()
    if not names:
        shutil.rmtree(RESULTS, ignore_errors=True)
    RESULTS.mkdir(exist_ok=True)
    jobs = {"basis": (basis, BASIS)}
    jobs |= {f"model_{case.name}": (model, case) for case in MODELS}
    jobs |= {f"product_{case.name}": (product, case) for case in PRODUCTS}
    jobs |= {f"network_{case.name}": (network, case) for case in NETWORKS}
    jobs |= {f"radial_{case.name}": (distances, case) for case in RADIALS}
    unknown = set(names) - set(jobs)
    if unknown:
        sys.exit(f"no such case: {', '.join(sorted(unknown))} (there are: {', '.join(jobs)})")
    for seed, (name, (evaluate, case)) in enumerate(jobs.items()):
        if names and name not in names:
            continue
        torch.manual_seed(seed)
        write(RESULTS / f"{name}.safetensors", *evaluate(case))
    print(f"oracle: {len(names) or len(jobs)} cases in {time.perf_counter() - started:.0f} s")


def write(path: Path, tensors: Tensors, counts: dict[str, int]) -> None:
    """Write one file, complete or not at all."""
    unique = {name: t.detach().clone().contiguous() for name, t in tensors.items()}
    partial = path.with_suffix(".partial")
    save_file(unique, partial, metadata={"counts": json.dumps(counts)})
    os.replace(partial, path)


if __name__ == "__main__":
    main(sys.argv[1:])
