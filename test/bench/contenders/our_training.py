# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Time our updates at full size: as they are, and with keys and values of the frozen parts from a cache."""

from __future__ import annotations

import time

import torch
from training_batch import TASK, arguments, batch, measure

from smolvla_ros.policy.smolvla.checkpoint_spec import CheckpointSpec
from smolvla_ros.training.batch import BatchPreparation, Samples
from smolvla_ros.training.objective import Objective
from smolvla_ros.training.optimization import OptimizerSettings, make_optimizer
from smolvla_ros.training.packed_image_encoder import packs_images
from smolvla_ros.training.trained_parameters import set_trained


def main() -> None:
    options = arguments()
    device = torch.device(options.device)
    spec = CheckpointSpec.load(options.checkpoint, options.checkpoint / "vlm")
    network = spec.empty_network()
    spec.weights.load(
        network, device, "native" if options.precision == "native" else "float32", accelerates=False
    )
    parameters = set_trained(network, "expert")
    packs = packs_images(device, network.vision.patch_embedding.weight.dtype, options.precision == "bfloat16")
    objective = Objective(network, spec.config.action_dim, freezes_prefix=True, packs_images=packs)
    given = batch(options)
    samples = Samples(given["images"], given["state"], given["action"], None, [TASK] * options.batch)
    preparation = BatchPreparation(spec, device)
    noise, times = given["noise"].to(device), given["time"].to(device)
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=options.precision == "bfloat16")
    start = time.perf_counter()
    with autocast:
        frozen = objective.frozen(preparation(samples)) if options.cached else None
    prepared_s = time.perf_counter() - start

    def forward() -> torch.Tensor:
        with autocast:
            prepared = preparation(samples)
            return objective(prepared, noise, times, frozen) / objective.count(prepared)

    fused = options.precision != "native"
    measure(options, forward, make_optimizer(parameters.values(), OptimizerSettings(), fused), prepared_s)


if __name__ == "__main__":
    main()
