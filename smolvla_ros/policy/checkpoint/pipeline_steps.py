# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The processor pipelines that LeRobot 0.4 and later save with a policy, and how each step is treated.

A pipeline is a JSON file with a list of steps, each with settings and possibly a file of statistics. STEPS has every
step that LeRobot 0.4.0 to 0.6.1 registers. Unknown steps and settings and unsupported values raise CheckpointError:
LeRobot applies them, so ignoring them would change the actions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from smolvla_ros.policy.checkpoint.files import Checkpoint, CheckpointError, Json

PREPROCESSOR = "policy_preprocessor.json"
POSTPROCESSOR = "policy_postprocessor.json"
RENAME = "rename_observations_processor"
NEW_LINE = "smolvla_new_line_processor"
TOKENIZER = "tokenizer_processor"
NORMALIZER = "normalizer_processor"
UNNORMALIZER = "unnormalizer_processor"

ANY = None  # allowed values of a setting that is checked elsewhere, or has no effect on results


@dataclass(frozen=True)
class StepRule:
    """How a step is treated.

    applied: processing.py computes it, with its settings.
    no effect: it changes no value of an observation or action at inference, with the allowed settings.
    refused: for the reason in `why`.
    """

    treatment: Literal["applied", "no effect", "refused"]
    why: str
    files: Sequence[str] = (PREPROCESSOR, POSTPROCESSOR)  # pipelines in which it is supported
    # name -> allowed values, or ANY
    settings: Mapping[str, Sequence[Any] | None] = field(default_factory=dict)
    has_state: bool = False  # whether a file of statistics belongs to it


_NORMALIZATION: Mapping[str, None] = {
    "eps": ANY,
    "features": ANY,
    "norm_map": ANY,
    "normalize_observation_keys": ANY,
}
_BATCH = "a batch of one is computed in any case"
_RELATIVE = "actions relative to the state are computed by LeRobot only where `enabled` is true"
_RELATIVE_SETTINGS: Mapping[str, Sequence[Any] | None] = {
    "enabled": (False,),
    "exclude_joints": ANY,
    "action_names": ANY,
}

_SUPPORTED = {
    RENAME: StepRule("applied", "renames images", (PREPROCESSOR,), {"rename_map": ANY}),
    NEW_LINE: StepRule("applied", "ends the task with a line break", (PREPROCESSOR,)),
    TOKENIZER: StepRule(
        "applied",
        "makes token ids of the task",
        (PREPROCESSOR,),
        {
            "tokenizer_name": ANY,
            "max_length": ANY,
            "padding": ANY,
            "padding_side": ANY,
            "truncation": ANY,
            "task_key": ("task",),
        },
    ),
    NORMALIZER: StepRule(
        "applied", "normalises images, state and actions", (PREPROCESSOR,), _NORMALIZATION, has_state=True
    ),
    UNNORMALIZER: StepRule(
        "applied", "computes actions from normalised ones", (POSTPROCESSOR,), _NORMALIZATION, has_state=True
    ),
    "device_processor": StepRule(
        "no effect",
        "the device is chosen by the user; values are float32",
        settings={"device": ANY, "float_dtype": (None, "float32", "float")},
    ),
    "to_batch_processor": StepRule("no effect", _BATCH),
    "to_batch_processor_action": StepRule("no effect", _BATCH),
    "to_batch_processor_observation": StepRule("no effect", _BATCH),
    "to_batch_processor_complementary_data": StepRule("no effect", _BATCH),
    "delta_actions_processor": StepRule("no effect", _RELATIVE, (PREPROCESSOR,), _RELATIVE_SETTINGS),
    "relative_actions_processor": StepRule("no effect", _RELATIVE, (PREPROCESSOR,), _RELATIVE_SETTINGS),
    "absolute_actions_processor": StepRule("no effect", _RELATIVE, (POSTPROCESSOR,), {"enabled": (False,)}),
}

_REFUSED = {  # reason -> steps
    "it belongs to another policy than SmolVLA": (
        "action_tokenizer_processor eo1_conversation_template_processor eo1_qwen_processor evo1_action_processor "
        "evo1_pad_action_processor evo1_pad_state_processor fastwam_action_toggle_processor "
        "groot_action_unpack_unnormalize_v1 groot_action_unpack_unnormalize_v2 groot_eagle_collate_v3 "
        "groot_eagle_encode_v3 groot_n1_7_action_decode_v1 groot_n1_7_pack_inputs_v1 groot_n1_7_vlm_encode_v1 "
        "groot_pack_inputs_v3 molmoact2_action_frame_transform molmoact2_clamp_action molmoact2_clamp_normalized "
        "molmoact2_masked_normalizer molmoact2_masked_unnormalizer molmoact2_pack_inputs "
        "molmoact2_state_frame_transform pi05_prepare_state_tokenizer_processor_step pi0_new_line_processor "
        "pi0_fast_prepare_state_tokenizer_processor_step vla_jepa_binarize_gripper vla_jepa_clip_actions "
        "vla_jepa_pre_snap_gripper wall_x_task_processor xvla_add_domain_id xvla_image_scale xvla_image_to_float "
        "xvla_imagenet_normalize xvla_rotation_6d_to_axis_angle"
    ),
    "it belongs to a reward model": "reward_classifier_processor robometer_encoder topreward_encoder",
    "it belongs to training with people in the loop or to a simulated environment": (
        "add_teleop_action_as_complementary_data add_teleop_action_as_info gripper_penalty_processor "
        "gym_hil_adapter_processor intervention_action_processor isaaclab_arena_processor libero_processor "
        "numpy2torch_action_processor observation_processor policy_action_to_robot_action_processor "
        "render_messages_processor robot_action_to_policy_action_processor time_limit_processor "
        "torch2numpy_action_processor"
    ),
    "cropping and resizing of images is not implemented": "image_crop_resize_processor",
    "it adds velocities or currents to the state, which has the positions of the joints only": (
        "current_processor joint_velocity_processor"
    ),
    "it computes poses of the gripper, and actions here are positions of the joints": (
        "ee_bounds_and_safety ee_reference_and_delta forward_kinematics_joints_to_ee "
        "forward_kinematics_joints_to_ee_action forward_kinematics_joints_to_ee_observation gripper_velocity_to_joint "
        "inverse_kinematics_ee_to_joints inverse_kinematics_rl_step map_delta_action_to_robot_action "
        "map_phone_action_to_robot_action map_tensor_to_delta_action_dict"
    ),
}

STEPS: Mapping[str, StepRule] = {
    **_SUPPORTED,
    **{name: StepRule("refused", why) for why, names in _REFUSED.items() for name in names.split()},
}

ORDER = ((RENAME, NORMALIZER), (NEW_LINE, TOKENIZER))  # the first of each pair must come before the second


@dataclass(frozen=True)
class Pipeline:
    """The steps of one file by name, checked against STEPS."""

    where: str
    steps: Mapping[str, Json]

    @classmethod
    def load(cls, checkpoint: Checkpoint, name: str) -> Pipeline:
        """Read PREPROCESSOR or POSTPROCESSOR; raises CheckpointError if STEPS does not allow its contents."""
        file = checkpoint.json(name, "copy the whole folder that LeRobot saved ('pretrained_model')")
        _check_keys(file, ("name", "steps"), "entry")
        steps: dict[str, Json] = {}
        for step in file.objects("steps"):
            step_name = str(step.values.get("registry_name", step.values.get("class")))
            rule = _check_step(step, step_name, name)
            if step_name in steps and rule.treatment == "applied":
                raise CheckpointError(f"{step.where}: a second {step_name!r}; one is supported")
            steps[step_name] = step
        names = list(steps)
        for first, second in ORDER:
            if first in steps and second in steps and names.index(first) > names.index(second):
                raise CheckpointError(
                    f"{file.where}: {first!r} comes after {second!r}; only before it is supported"
                )
        return cls(file.where, steps)

    def settings(self, name: str) -> Json:
        """Settings of a step; raises CheckpointError if there is no such step."""
        if name not in self.steps:
            raise CheckpointError(
                f"{self.where} has no step {name!r}; it has {', '.join(self.steps) or 'none'}"
            )
        return self.steps[name].object("config", {})

    def state_file(self, name: str) -> str | None:
        return self.steps[name].get("state_file", str, None)


def _check_step(step: Json, name: str, file: str) -> StepRule:
    rule = STEPS.get(name)
    if rule is None:
        known = ", ".join(supported for supported, rule in _SUPPORTED.items() if file in rule.files)
        raise CheckpointError(
            f"{step.where}: step {name!r} is unknown, and leaving it out could change every action; known steps "
            f"are {known}"
        )
    if rule.treatment == "refused":
        raise CheckpointError(f"{step.where}: step {name!r} is not supported: {rule.why}")
    if file not in rule.files:
        raise CheckpointError(f"{step.where}: step {name!r} is supported in {rule.files[0]} only")
    further = ("state_file",) if rule.has_state else ("artifacts",) if name == TOKENIZER else ()
    _check_keys(step, ("registry_name", "config", *further), "entry")
    settings = step.object("config", {})
    if "artifacts" in step.values:  # from LeRobot 0.6.2 on: the tokenizer, in a folder of the checkpoint
        saved = {"tokenizer_name": settings.values.get("tokenizer_name")}
        step.require("artifacts", saved, saved, "only a tokenizer is read")
    _check_keys(settings, tuple(rule.settings), f"setting of {name!r}")
    for setting, allowed in rule.settings.items():
        if allowed is not None and settings.values.get(setting, allowed[0]) not in allowed:
            raise CheckpointError(
                f"{settings.where}: {setting!r} of {name!r} is {settings.values[setting]!r}, supported is "
                f"{' or '.join(map(repr, allowed))}"
            )
    return rule


def _check_keys(json: Json, known: Sequence[str], kind: str) -> None:
    for key in json.values:
        if key not in known:
            raise CheckpointError(
                f"{json.where}: {kind} {key!r} is unknown, and ignoring it could change every action; known are "
                f"{', '.join(known) or 'none'}"
            )
