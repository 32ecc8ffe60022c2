"""A digest of a model: it changes when any answer may."""

from __future__ import annotations

import hashlib
import json

import torch

from crossfield.model.model import Model


def fingerprint(model: Model) -> str:
    """SHA-256 of all that the answers of a model follow from.

    It is that of the JSON text of its configuration and heads, with sorted keys, and then of every tensor of
    its state dict in the order of their names: the text `name dtype shape;` and the bytes. The precision is
    part of it; the device and the default head are not: no head answers otherwise for them.
    """
    described = {
        "config": model.config.model_dump(mode="json"),
        "heads": [head.model_dump(mode="json") for head in model.heads],
    }
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
    for name, tensor in sorted(model.state_dict().items()):
        stored = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {stored.dtype} {tuple(stored.shape)};".encode())
        digest.update(stored.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
