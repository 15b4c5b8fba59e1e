# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A network with its weights, rearranged for speed: same function, other order of the work.

Projections of the same input become one product. On a CPU, layers then keep their weights as oneDNN wants them
(`linear.py`), and the vision tower attends head by head in bfloat16. Only "native" is left as LeRobot computes it,
operation for operation. docs/benchmarks.md has what each step brings and which other ways were measured.
"""

from __future__ import annotations

import torch

from smolvla_ros.policy.smolvla import vision
from smolvla_ros.policy.smolvla.linear import Int8Linear, Linear, PackedLinear
from smolvla_ros.policy.smolvla.network import Block, Network
from smolvla_ros.policy.smolvla.transformer import MLP, Projections


def accelerate(block: Block, device: torch.device, dtype: str) -> None:
    """Rearrange one block of a network in place, whose weights are loaded; `dtype` as in `SmolVLA.from_pretrained`.

    Done block by block while a checkpoint is loaded, not more than one block is in memory twice.
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
    # The language model is a tenth of the work; in 8 bits it would cost as much accuracy as all the rest.
    if packs_any and dtype == "int8" and block.name.startswith(("vision.", "expert.")):
        _pack(block, Int8Linear)
    elif packed:
        _pack(block, PackedLinear)


def weights_bytes(network: Network) -> int:
    """What the weights take in memory, packed or not."""
    packed = [module.weight for module in network.modules() if isinstance(module, PackedLinear | Int8Linear)]
    return sum(weight.numel() * weight.element_size() for weight in (*network.parameters(), *packed))


def supports_packed_weights() -> bool:
    """Whether torch multiplies packed weights on this CPU."""
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return available and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def supports_int8() -> bool:
    """Whether the CPU multiplies 8-bit numbers: without VNNI it is no faster, and sums may overflow."""
    return (
        supports_packed_weights()
        and hasattr(torch.ops.onednn, "qlinear_pointwise")
        and torch.cpu._is_vnni_supported()
    )


def supports_bfloat16(device: torch.device) -> bool:
    """GPUs do. CPUs are twice as fast as in float32 if they do, several times slower if they imitate it."""
    if device.type == "cpu":
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return device.type == "cuda"


def _pack(block: Block, packed: type[PackedLinear] | type[Int8Linear]) -> None:
    for module in list(block.module.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Linear):
                setattr(module, name, packed(child, block.rows))
