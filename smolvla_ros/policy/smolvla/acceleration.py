# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rearranges a loaded network for speed; its function stays the same.

Projections of the same input are fused into one product. On a CPU, layers then keep their weights in the layout of
oneDNN (`linear.py`), and the vision tower computes attention head by head in bfloat16. "native" stays as LeRobot
computes it, operation for operation. Measurements of each step and of alternatives: docs/benchmarks.md.
"""

from __future__ import annotations

import torch

from smolvla_ros.policy.policy import PolicyError
from smolvla_ros.policy.smolvla import vision
from smolvla_ros.policy.smolvla.linear import Int8Linear, Linear, PackedLinear
from smolvla_ros.policy.smolvla.network import Block, Network
from smolvla_ros.policy.smolvla.transformer import MLP, Projections


def accelerate(block: Block, device: torch.device, dtype: str) -> None:
    """Rearrange one block of a network, with loaded weights, in place; `dtype` as in `SmolVLA.from_pretrained`.

    Called for each block while a checkpoint is loaded, so that only one block at a time is in memory twice.
    """
    if dtype == "native":
        return
    packs_any = device.type == "cpu" and supports_packed_weights()
    packed = packs_any and (dtype == "float32" or supports_bfloat16(device))
    for module in block.module.modules():
        if isinstance(module, Projections | MLP | vision.Attention):
            module.fuse()
        if isinstance(module, vision.Attention):
            module.head_by_head = packed and dtype != "float32"
    # The language model is a tenth of the computation; in 8 bits it would cost as much accuracy as all other parts.
    if packs_any and dtype == "int8" and block.name.startswith(("vision.", "expert.")):
        _pack(block, Int8Linear)
    elif packed:
        _pack(block, PackedLinear)


def torch_device(name: str) -> torch.device:
    """The device of this name, or for "auto" CUDA if there is one; raises PolicyError if it is not available."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise PolicyError(f"device {name!r} is not available ({error}); use 'auto' or 'cpu'") from error


def weights_bytes(network: Network) -> int:
    """Memory of the weights, packed or not, bytes."""
    packed = [module.weight for module in network.modules() if isinstance(module, PackedLinear | Int8Linear)]
    return sum(weight.numel() * weight.element_size() for weight in (*network.parameters(), *packed))


def supports_packed_weights() -> bool:
    """Whether torch can multiply packed weights on this CPU."""
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return available and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def supports_int8() -> bool:
    """Whether the CPU has 8-bit products (VNNI); without, 8 bits are no faster and sums may overflow."""
    return (
        supports_packed_weights()
        and hasattr(torch.ops.onednn, "qlinear_pointwise")
        and torch.cpu._is_vnni_supported()
    )


def supports_bfloat16(device: torch.device) -> bool:
    """Whether the device has bfloat16 arithmetic; CPUs that emulate it are several times slower than in float32."""
    if device.type == "cpu":
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return device.type == "cuda"


def _pack(block: Block, packed: type[PackedLinear] | type[Int8Linear]) -> None:
    for module in list(block.module.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Linear):
                setattr(module, name, packed(child, block.rows))
