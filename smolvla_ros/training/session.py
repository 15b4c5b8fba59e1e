# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A run from its settings to its last checkpoint: new, or continued from its folder."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator, PartialState
from torch import Tensor, nn

from smolvla_ros.dataset.output_lock import locked_folder
from smolvla_ros.policy.checkpoint.files import ADAPTER_WEIGHTS, WEIGHTS_FILE, open_tensors
from smolvla_ros.policy.checkpoint.lora import PREFIX
from smolvla_ros.policy.smolvla.acceleration import supports_bfloat16
from smolvla_ros.policy.smolvla.network import Network
from smolvla_ros.training.action_errors import ActionErrors, action_errors
from smolvla_ros.training.activation_checkpointing import checkpoint_layers
from smolvla_ros.training.adapter import add_adapter, save_adapter
from smolvla_ros.training.batch import BatchPreparation
from smolvla_ros.training.demonstrations import Demonstrations, read_episodes, split_episodes
from smolvla_ros.training.errors import TrainingError
from smolvla_ros.training.initial_checkpoint import write_initial_checkpoint
from smolvla_ros.training.loss_plot import plot_losses
from smolvla_ros.training.memory import check_memory
from smolvla_ros.training.objective import Objective
from smolvla_ros.training.packed_image_encoder import packs_images
from smolvla_ros.training.prefix_cache import PrefixCache, digest
from smolvla_ros.training.pretrained_files import write_description, write_weights
from smolvla_ros.training.run_folder import PRETRAINED, STATE, RunFolder
from smolvla_ros.training.settings import TrainingSettings
from smolvla_ros.training.task import TrainingTask, load_datasets
from smolvla_ros.training.trained_parameters import FROM_SCRATCH, LANGUAGE_MODEL, lerobot_indices, set_trained
from smolvla_ros.training.trainer import Trainer
from smolvla_ros.training.training_state import WEIGHTS

REQUEST = "training.json"
EVALUATED_AT_ONCE = 8  # frames
RATE_TOLERANCE = 0.02  # relative difference of rates that are the same
INITIAL = "initial"  # folder of a run from scratch with the checkpoint that it begins with


@dataclass(frozen=True)
class TrainingRequest:
    """What to train on what. `checkpoint` empty: from scratch, with the config and tokenizer in `backbone`."""

    datasets: tuple[str, ...]
    checkpoint: str
    settings: TrainingSettings
    backbone: str = ""
    revision: str = ""
    cameras: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def save(self, run: Path) -> None:
        run.mkdir(parents=True, exist_ok=True)
        (run / REQUEST).write_text(json.dumps(dataclasses.asdict(self), indent=4) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, run: Path) -> TrainingRequest:
        """That of a run to continue; raises TrainingError."""
        try:
            values = json.loads((run / REQUEST).read_text(encoding="utf-8"))
            settings = TrainingSettings(**values.pop("settings"))
            return cls(**{**values, "datasets": tuple(values["datasets"])}, settings=settings)
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise TrainingError(
                f"'{run / REQUEST}' cannot be read ({error}); is this the folder of a run?"
            ) from error


@dataclass(frozen=True)
class Outcome:
    """How far a run came. `errors` of its policy, in the first process, if it is complete."""

    done: int
    is_first_process: bool
    checkpoint: Path | None  # the last pretrained_model
    task: TrainingTask
    errors: ActionErrors | None
    picture: Path | None


def train(
    request: TrainingRequest, folder: Path, stop: Sequence[int], tell: Callable[[str], None]
) -> Outcome:
    """Train in the run's folder, and continue if there is a checkpoint in it.

    stop: becomes non-empty when the run shall save a checkpoint and end. Raises TrainingError, CheckpointError,
    DatasetError, VideoError.
    """
    settings = request.settings
    run = RunFolder(folder, settings.keep)
    accelerator = _accelerator(settings)
    tell = tell if accelerator.is_main_process else _tell_nothing
    task = _task(request, folder, accelerator)
    objective, parameters, indices = _objective(task, settings, accelerator, not request.checkpoint)
    preparation = BatchPreparation(task.spec, accelerator.device)
    training, held_out = _demonstrations(task, settings)
    for line in _description(task, parameters, training, held_out):
        tell(line)
    last = run.last()
    if last is not None:
        _load_weights(last, parameters, bool(settings.lora_rank))
    check_memory(objective, parameters, preparation, training, settings, accelerator.device)
    cache = _cache(settings, task, training, preparation, objective, accelerator, stop, tell)
    trainer = Trainer(
        settings, accelerator, objective, parameters, indices, preparation, training, held_out, cache
    )
    done = _resume(trainer, last) if last is not None else 0
    if last is not None:
        tell(f"continued from update {done}")

    def write_pretrained(place: Path, weights: Mapping[str, Tensor]) -> None:
        write_description(place, task, settings, folder)
        if settings.lora_rank:
            save_adapter(place, weights, settings, task.base)
        else:
            write_weights(place, task, objective.network, weights)

    done = trainer.run(run, done, stop, write_pretrained)
    errors = picture = None
    if accelerator.is_main_process:
        picture = plot_losses(folder)
        if done == settings.steps:
            trainer.use_average()
            errors = action_errors(
                task,
                objective,
                preparation,
                held_out or training.with_images(),
                held_out is not None,
                accelerator,
                EVALUATED_AT_ONCE,
            )
    accelerator.wait_for_everyone()
    newest = run.last()
    return Outcome(
        done, accelerator.is_main_process, newest / PRETRAINED if newest else None, task, errors, picture
    )


def _description(
    task: TrainingTask,
    parameters: Mapping[str, nn.Parameter],
    training: Demonstrations,
    held_out: Demonstrations | None,
) -> list[str]:
    """Lines of text: what is trained on what, and whether chunks get another rate."""
    values = sum(parameter.numel() for parameter in parameters.values())
    lines = [
        f"{task.spec.name}: {values / 1e6:.1f} million values are trained, on {len(training)} frames of "
        f"{len(training.episodes)} episodes; {len(held_out.episodes) if held_out else 0} episodes are held out"
    ]
    before_hz = task.spec.fps
    if before_hz and not math.isclose(before_hz, task.rate_hz, rel_tol=RATE_TOLERANCE):
        lines.append(
            f"the checkpoint's chunks have {before_hz:.3g} actions a second, after this training they will have "
            f"{task.rate_hz:.3g}; --action-rate-hz {before_hz:.3g} leaves them as they are"
        )
    return lines


def continuation(folder: Path) -> str:
    """What a user can do about a folder that is not empty."""
    if (folder / REQUEST).is_file():
        return "continue its run with --resume"
    return "it holds no run, so give another folder"


def run_lock(folder: Path, device: str) -> AbstractContextManager[None]:
    """Lets no second run write to the folder; of the processes of a run the first one holds it. Raises DatasetError."""
    is_first = PartialState(cpu=_is_on_cpu(device)).is_main_process
    return locked_folder(folder) if is_first else nullcontext()


def prepare_once(prepare: Callable[[], TrainingRequest], folder: Path, device: str) -> TrainingRequest:
    """The request of a new run: `prepare` runs in the first process only, the others read what it has saved."""
    state = PartialState(cpu=_is_on_cpu(device))
    made = prepare() if state.is_main_process else None
    state.wait_for_everyone()
    return made or TrainingRequest.load(folder)


def _tell_nothing(_text: str) -> None:
    """In all processes but the first."""


def _is_on_cpu(device: str) -> bool:
    return device == "cpu" or not torch.cuda.is_available()


def _accelerator(settings: TrainingSettings) -> Accelerator:
    on_cpu = _is_on_cpu(settings.device)
    device = torch.device("cpu" if on_cpu else "cuda")
    in_bfloat16 = settings.precision == "bfloat16" or (
        settings.precision == "auto" and supports_bfloat16(device)
    )
    return Accelerator(cpu=on_cpu, mixed_precision="bf16" if in_bfloat16 else "no")


def _task(request: TrainingRequest, folder: Path, accelerator: Accelerator) -> TrainingTask:
    datasets = load_datasets([Path(each) for each in request.datasets])
    checkpoint = request.checkpoint
    if not checkpoint:
        checkpoint = str(folder / INITIAL)
        with accelerator.main_process_first():
            if not (folder / INITIAL / WEIGHTS_FILE).is_file():
                write_initial_checkpoint(
                    folder / INITIAL, Path(request.backbone), datasets[0], request.settings.seed
                )
    return TrainingTask.load(
        checkpoint,
        datasets,
        request.cameras,
        request.backbone or None,
        request.revision or None,
        request.settings.statistics,
        request.settings.action_rate_hz,
    )


def _objective(
    task: TrainingTask, settings: TrainingSettings, accelerator: Accelerator, is_from_scratch: bool
) -> tuple[Objective, dict[str, nn.Parameter], dict[str, int]]:
    if settings.lora_rank and task.spec.weights.adapter:
        raise TrainingError(
            f"{task.spec.name} is an adapter, on which no other one can be trained; leave lora_rank at 0, which trains "
            "and saves the weights with the adapter in them, or start from its base checkpoint"
        )
    network: Network = task.spec.empty_network()
    dtype = "native" if settings.precision == "lerobot" else "float32"
    task.spec.weights.load(network, accelerator.device, dtype, accelerates=False)
    if settings.checkpoint_activations == "on":
        checkpoint_layers(network)
    if settings.lora_rank:
        with torch.random.fork_rng():
            torch.manual_seed(settings.seed)
            parameters = add_adapter(network, settings)
        indices = {name: index for index, name in enumerate(parameters)}
    else:
        indices = lerobot_indices(network)
        parameters = set_trained(network, FROM_SCRATCH if is_from_scratch else settings.trained)
    freezes_prefix = not any(LANGUAGE_MODEL in name for name in parameters)
    vision_dtype = network.vision.patch_embedding.weight.dtype
    packs = packs_images(accelerator.device, vision_dtype, accelerator.mixed_precision != "no")
    return Objective(network, task.spec.config.action_dim, freezes_prefix, packs), parameters, indices


def _demonstrations(
    task: TrainingTask, settings: TrainingSettings
) -> tuple[Demonstrations, Demonstrations | None]:
    episodes = task.scaled(read_episodes(task.datasets))
    if settings.correction_weight != 1 and not any(episode.intervention.any() for episode in episodes):
        raise TrainingError(
            "correction_weight: in no dataset has a person taken control (intervention); leave it out"
        )
    training, held_out = split_episodes(episodes, settings.validation, settings.seed)
    chunk = task.spec.config.chunk_size
    return (
        Demonstrations(
            task.datasets,
            training,
            task.cameras,
            chunk,
            settings.augment == "on",
            settings.seed,
            reads_images=not settings.cache,
            correction_weight=settings.correction_weight,
            frames_per_action=task.frames_per_action,
        ),
        Demonstrations(task.datasets, held_out, task.cameras, chunk, frames_per_action=task.frames_per_action)
        if held_out
        else None,
    )


def _cache(
    settings: TrainingSettings,
    task: TrainingTask,
    training: Demonstrations,
    preparation: BatchPreparation,
    objective: Objective,
    accelerator: Accelerator,
    stop: Sequence[int],
    tell: Callable[[str], None],
) -> PrefixCache | None:
    if not settings.cache:
        return None
    if not objective.freezes_prefix:
        raise TrainingError(
            "cache: the vision-language model must be frozen; leave it out, or use trained expert"
        )
    dtype = torch.bfloat16 if accelerator.mixed_precision == "bf16" else torch.float32
    frames = training.with_images()
    variants = settings.cache_variants if training.augments else 1
    chosen = (
        f"{settings.precision} {dtype} {settings.validation} {settings.seed} {settings.augment} {variants}"
    )
    name = digest(task, chosen)
    with accelerator.main_process_first(), accelerator.autocast():
        cache = PrefixCache(Path(settings.cache), name, frames, preparation, objective, dtype, variants)
        if cache.done < cache.rows:
            tell(f"cache: {cache.path}, {cache.bytes / 1e9:.2f} GB for {cache.rows} rows")
            cache.fill(stop)
    return cache


def _load_weights(checkpoint: Path, parameters: Mapping[str, nn.Parameter], is_adapter: bool) -> None:
    """The trained weights of a checkpoint; those of training if the saved policy has their moving average."""
    if (checkpoint / STATE / WEIGHTS).is_file():
        _copy_tensors(checkpoint / STATE / WEIGHTS, "", parameters)
    else:
        _load_policy(checkpoint, parameters, is_adapter)


def _load_policy(checkpoint: Path, weights: Mapping[str, Tensor], is_adapter: bool) -> None:
    """The trained weights, or their moving average, as the saved policy has them."""
    name = ADAPTER_WEIGHTS if is_adapter else WEIGHTS_FILE
    _copy_tensors(checkpoint / PRETRAINED / name, PREFIX if is_adapter else "", weights)


def _copy_tensors(path: Path, prefix: str, weights: Mapping[str, Tensor]) -> None:
    with open_tensors(path) as file, torch.no_grad():
        for name, tensor in weights.items():
            file.copy(prefix + name, tensor.data)


def _resume(trainer: Trainer, checkpoint: Path) -> int:
    """Restore all that training needs but the weights; returns the number of updates done."""
    if trainer.state.average is not None:
        _load_policy(checkpoint, trainer.state.average, bool(trainer.settings.lora_rank))
    return trainer.resume(checkpoint)
