# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Linear layers: the plain one, into which a checkpoint is loaded, and its faster forms on a CPU.

`PackedLinear` keeps its weights in the layout of oneDNN; results are equal up to the order of sums. `Int8Linear`
multiplies integers: weights in 8 bits with a scale for each output, inputs in 8 bits with a scale measured at every
call, so that no calibration is needed. All accept any floating-point type and compute in their own.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812  the name torch users know
from torch import Tensor, nn

INT8_MAX = 127
UINT8_MAX = 255


class Linear(nn.Linear):
    """y = x W^T + b, followed by the tanh form of GELU if `gelu`."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True, gelu: bool = False) -> None:
        super().__init__(inputs, outputs, bias=bias)
        self.gelu = gelu

    def forward(self, x: Tensor) -> Tensor:
        y = F.linear(x.to(self.weight.dtype), self.weight, self.bias)
        return F.gelu(y, approximate="tanh") if self.gelu else y


class PackedLinear(nn.Module):
    """A `Linear` on the CPU, float32 or bfloat16, packed for inputs of about `rows` rows."""

    def __init__(self, linear: Linear, rows: int) -> None:
        super().__init__()
        self.dtype = linear.weight.dtype
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), rows)
        self.bias = linear.bias
        self._activation = ("gelu", "tanh") if linear.gelu else ("none", "")

    def forward(self, x: Tensor) -> Tensor:
        name, algorithm = self._activation
        out: Tensor = torch.ops.mkldnn._linear_pointwise(
            x.to(self.dtype), self.weight, self.bias, name, [], algorithm
        )
        return out


class Int8Linear(nn.Module):
    """A `Linear` on the CPU in 8 bits; its output is bfloat16."""

    def __init__(self, linear: Linear, rows: int) -> None:
        super().__init__()
        weight = linear.weight.detach().to(torch.float32)
        self.scales = (weight.abs().amax(dim=1) / INT8_MAX).clamp(min=torch.finfo(torch.float32).tiny)
        whole = torch.round(weight / self.scales[:, None]).to(torch.int8)
        self.outputs = len(weight)
        self.weight = torch.ops.onednn.qlinear_prepack(whole, [rows, weight.shape[1]])
        self.zero_points = torch.zeros(self.outputs, dtype=torch.int64)
        self.bias = None if linear.bias is None else linear.bias.detach().to(torch.float32)
        self._activation = ("gelu", "tanh") if linear.gelu else ("none", "")

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        low, high = (float(bound) for bound in torch.aminmax(rows))
        low, high = min(low, 0.0), max(high, 0.0)
        scale = (high - low) / UINT8_MAX or 1.0
        zero = round(-low / scale)
        # To int8 and a flipped sign bit: four times faster than the conversion to uint8.
        whole = rows.to(torch.float32, copy=True).mul_(1.0 / scale).add_(zero - 128).round_()
        unsigned = whole.to(torch.int8).view(torch.uint8).bitwise_xor_(128)
        name, algorithm = self._activation
        y: Tensor = torch.ops.onednn.qlinear_pointwise(
            unsigned,
            scale,
            zero,
            self.weight,
            self.scales,
            self.zero_points,
            self.bias,
            1.0,
            0,
            torch.bfloat16,
            name,
            [],
            algorithm,
        )
        return y.view(*x.shape[:-1], self.outputs)


def concatenate(linears: Sequence[Linear]) -> Linear:
    """One layer whose output is the concatenated outputs of `linears`, for the same input."""
    first = linears[0]
    weight = torch.cat([linear.weight for linear in linears])
    with torch.device("meta"):
        stacked = Linear(first.in_features, len(weight), bias=first.bias is not None)
    stacked.weight = nn.Parameter(weight, requires_grad=False)
    if first.bias is not None:
        stacked.bias = nn.Parameter(torch.cat([linear.bias for linear in linears]), requires_grad=False)
    return stacked
