# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The training loop. Accelerate gives devices, number formats and distribution.

The loss of an update is the mean over all actions of all processes and accumulated batches, so that it does not depend
on how the samples are divided. Samples and noise follow from the seed and the number of the update alone, so that a
continued run goes on with the same numbers.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from smolvla_ros.training.balance import draw_probabilities
from smolvla_ros.training.batch import BatchPreparation, Draw, Samples
from smolvla_ros.training.demonstrations import Demonstrations, Order, load_batches
from smolvla_ros.training.errors import TrainingError
from smolvla_ros.training.flow_matching import sample_times
from smolvla_ros.training.objective import Objective
from smolvla_ros.training.optimization import make_optimizer, make_schedule
from smolvla_ros.training.prefix_cache import PrefixCache
from smolvla_ros.training.run_folder import PRETRAINED, STATE, RunFolder
from smolvla_ros.training.settings import TrainingSettings
from smolvla_ros.training.training_log import TrainingLog
from smolvla_ros.training.training_state import TrainingState

VALIDATION_FRAMES = 256
WritePretrained = Callable[[Path, Mapping[str, Tensor]], None]  # folder, trained weights by LeRobot's names


class Trainer:
    """Trains `parameters` of the objective's network on demonstrations."""

    def __init__(
        self,
        settings: TrainingSettings,
        accelerator: Accelerator,
        objective: Objective,
        parameters: Mapping[str, nn.Parameter],
        indices: Mapping[str, int],
        preparation: BatchPreparation,
        demonstrations: Demonstrations,
        held_out: Demonstrations | None,
        cache: PrefixCache | None = None,
    ) -> None:
        self.settings = settings
        self.accelerator = accelerator
        self.objective = objective
        self.parameters = parameters
        self._demonstrations, self._held_out = demonstrations, held_out
        self._preparation, self._cache = preparation, cache
        optimizer = make_optimizer(parameters.values(), settings, fused=settings.precision != "lerobot")
        average = {name: p.detach().clone() for name, p in parameters.items()} if settings.ema else None
        self.state = TrainingState(
            parameters, indices, optimizer, make_schedule(optimizer, settings.steps, settings), average
        )
        self._model, self._optimizer = accelerator.prepare(objective, optimizer)
        probabilities = draw_probabilities(demonstrations.episodes, settings.balance)
        self._order = Order(len(demonstrations), settings.seed, probabilities)
        self._processes: int = accelerator.num_processes
        self._samples = settings.batch_size * settings.accumulate * self._processes  # of an update

    def resume(self, checkpoint: Path) -> int:
        """Restore what `save` wrote, but the weights and their average; returns the number of updates done."""
        return self.state.read(checkpoint / STATE)

    def run(self, run: RunFolder, done: int, stop: Sequence[int], write_pretrained: WritePretrained) -> int:
        """Train until `steps` updates are done or a stop signal is in `stop`; returns the number of updates done.

        Raises TrainingError if the loss is not finite, and if a checkpoint cannot be written.
        """
        settings, is_main = self.settings, self.accelerator.is_main_process
        log = TrainingLog(run.folder, done, settings.steps) if is_main else None
        batches = load_batches(self._demonstrations, self._batches(done), self._workers())
        started, waited, since = time.perf_counter(), 0.0, done
        try:
            for update in range(done, settings.steps):
                before = time.perf_counter()
                samples = [next(batches) for _ in range(settings.accumulate)]
                waited += time.perf_counter() - before
                lr = float(self.state.schedule.get_last_lr()[0])
                loss, norm, stops = self._update(update, samples, bool(stop))
                if not (math.isfinite(loss) and math.isfinite(norm)):
                    raise TrainingError(
                        f"update {update + 1}: the loss is {loss}, the norm of its gradients {norm}; look for values "
                        "that are no numbers in the datasets' states and actions, or give a smaller --lr. Earlier "
                        "checkpoints stay as they are"
                    )
                done = update + 1
                if log is not None:
                    log.show(done, f"loss {loss:.4f} lr {lr:.1e} wait {waited / (done - since):.2f} s")
                    if done % settings.log_every == 0 or done == settings.steps:
                        seconds = time.perf_counter() - started
                        rate = (done - since) * self._samples / seconds
                        log.add(
                            done,
                            loss=loss,
                            lr=lr,
                            grad_norm=norm,
                            samples_per_s=round(rate, 3),
                            data_wait_s=round(waited / (done - since), 4),
                        )
                        started, waited, since = time.perf_counter(), 0.0, done
                if settings.validate_every and done % settings.validate_every == 0 and self._held_out:
                    validation_loss = self.validation_loss()
                    if log is not None:
                        log.add(done, validation_loss=validation_loss)
                if done % settings.save_every == 0 or done == settings.steps or stops:
                    self.save(run, done, write_pretrained)
                if stops:
                    break
        finally:
            if log is not None:
                log.close()
        return done

    def save(self, run: RunFolder, done: int, write_pretrained: WritePretrained) -> None:
        """Save a checkpoint; all processes call it, the first one writes."""
        if self.accelerator.is_main_process:
            weights: Mapping[str, Tensor] = self.state.average or self.parameters

            def write(folder: Path) -> None:
                (folder / PRETRAINED).mkdir()
                write_pretrained(folder / PRETRAINED, weights)
                self.state.write(folder / STATE, done, self._processes, self.settings.batch_size)

            run.save(done, write)
        self.accelerator.wait_for_everyone()

    def use_average(self) -> None:
        """Put the moving average into the network, if it is kept."""
        if self.state.average is not None:
            with torch.no_grad():
                for name, parameter in self.parameters.items():
                    parameter.copy_(self.state.average[name])

    def _update(self, update: int, samples: Sequence[Samples], stops: bool) -> tuple[float, float, bool]:
        """One update of the weights; returns its loss, the norm of its gradients before clipping, and `stops` of any
        process.
        """
        batches = [self._preparation(each, self._cache is None) for each in samples]
        count = sum(self.objective.count(batch) for batch in batches)
        sums = torch.tensor([count, float(stops)], device=self.accelerator.device)
        count, any_stops = self.accelerator.reduce(sums, "sum").tolist()
        total = max(count, 1.0)
        noise, times = self._noise(update)
        loss = torch.zeros((), device=self.accelerator.device)
        for index, (batch, given) in enumerate(zip(batches, samples, strict=True)):
            part = self._part(index)
            frozen = None if self._cache is None else self._cache.read(given, batch)
            is_last = index == len(batches) - 1
            with nullcontext() if is_last else self.accelerator.no_sync(self._model):
                error = self._model(batch, noise[part], times[part], frozen) / total
                # DDP takes the mean of the gradients of all processes, and the sum is wanted.
                self.accelerator.backward(error * self._processes)
            loss += error.detach()
        norm = self.accelerator.clip_grad_norm_(self.parameters.values(), self.settings.grad_clip_norm)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self.state.schedule.step()
        self._update_average()
        loss = self.accelerator.reduce(loss, "sum")
        return float(loss), float(norm), any_stops > 0

    def _update_average(self) -> None:
        if self.state.average is not None:
            with torch.no_grad():
                for name, parameter in self.parameters.items():
                    self.state.average[name].lerp_(parameter, 1 - self.settings.ema)

    def _part(self, index: int) -> slice:
        """Which samples of an update this process computes in its batch `index`."""
        first = (index * self._processes + self.accelerator.process_index) * self.settings.batch_size
        return slice(first, first + self.settings.batch_size)

    def _batches(self, done: int) -> Iterator[list[Draw]]:
        """The draws of this process's batches from update `done` on."""
        for update in range(done, self.settings.steps):
            draws = self._order.draws(update * self._samples, self._samples)
            for index in range(self.settings.accumulate):
                yield draws[self._part(index)]

    def _noise(self, update: int) -> tuple[Tensor, Tensor]:
        config, device = self.objective.network.config, self.accelerator.device
        shape = (self._samples, config.chunk_size, config.max_action_dim)
        noise, times = noise_of_update(self.settings.seed, update, shape)
        return noise.to(device), times.to(device)

    @torch.no_grad()
    def validation_loss(self) -> float:
        """The loss on frames spread over the held-out episodes, with the same noise at every call."""
        assert self._held_out is not None
        config, device = self.objective.network.config, self.accelerator.device
        generator = torch.Generator().manual_seed(self.settings.seed)
        errors, count = 0.0, 0.0
        for draws in spread_draws(self._held_out, VALIDATION_FRAMES, self.settings.batch_size):
            batch = self._preparation(self._held_out.read(draws))
            noise = torch.randn(len(draws), config.chunk_size, config.max_action_dim, generator=generator)
            times = sample_times(len(draws), generator)
            with self.accelerator.autocast():
                errors += float(self.objective(batch, noise.to(device), times.to(device)))
            count += self.objective.count(batch)
        return errors / max(count, 1.0)

    def _workers(self) -> int:
        if self.settings.workers >= 0:
            return self.settings.workers
        return max((os.cpu_count() or 1) // self._processes - 1, 1)


def spread_draws(demonstrations: Demonstrations, frames: int, batch_size: int) -> Iterator[list[Draw]]:
    """At most `frames` frames, evenly spread over all episodes, in batches."""
    count = min(frames, len(demonstrations))
    chosen = np.linspace(0, len(demonstrations) - 1, count).round().astype(int).tolist()
    for first in range(0, count, batch_size):
        yield [Draw(frame, frame) for frame in chosen[first : first + batch_size]]


def noise_of_update(seed: int, update: int, shape: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    """Noise, float32 of this shape (samples, chunk, max_action_dim), and times (samples,) of all samples of an update,
    the same on every device."""
    state = np.random.SeedSequence([seed, update]).generate_state(1, np.uint32).item()
    generator = torch.Generator().manual_seed(state)
    return torch.randn(shape, generator=generator), sample_times(shape[0], generator)
