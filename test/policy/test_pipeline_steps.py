# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every step and setting of LeRobot's processor pipelines is applied, without effect, or rejected."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from smolvla_ros.policy.checkpoint.files import Checkpoint, CheckpointError
from smolvla_ros.policy.checkpoint.pipeline_steps import (
    ORDER,
    POSTPROCESSOR,
    PREPROCESSOR,
    STEPS,
    Pipeline,
    StepRule,
)

# All names under which LeRobot 0.4.0 to 0.6.1 register a step.
REGISTERED = """
absolute_actions_processor action_tokenizer_processor add_teleop_action_as_complementary_data
add_teleop_action_as_info current_processor delta_actions_processor device_processor ee_bounds_and_safety
ee_reference_and_delta eo1_conversation_template_processor eo1_qwen_processor evo1_action_processor
evo1_pad_action_processor evo1_pad_state_processor fastwam_action_toggle_processor
forward_kinematics_joints_to_ee forward_kinematics_joints_to_ee_action
forward_kinematics_joints_to_ee_observation gripper_penalty_processor gripper_velocity_to_joint
groot_action_unpack_unnormalize_v1 groot_action_unpack_unnormalize_v2 groot_eagle_collate_v3
groot_eagle_encode_v3 groot_n1_7_action_decode_v1 groot_n1_7_pack_inputs_v1 groot_n1_7_vlm_encode_v1
groot_pack_inputs_v3 gym_hil_adapter_processor image_crop_resize_processor intervention_action_processor
inverse_kinematics_ee_to_joints inverse_kinematics_rl_step isaaclab_arena_processor joint_velocity_processor
libero_processor map_delta_action_to_robot_action map_phone_action_to_robot_action
map_tensor_to_delta_action_dict molmoact2_action_frame_transform molmoact2_clamp_action
molmoact2_clamp_normalized molmoact2_masked_normalizer molmoact2_masked_unnormalizer molmoact2_pack_inputs
molmoact2_state_frame_transform normalizer_processor numpy2torch_action_processor observation_processor
pi05_prepare_state_tokenizer_processor_step pi0_fast_prepare_state_tokenizer_processor_step
pi0_new_line_processor policy_action_to_robot_action_processor relative_actions_processor
rename_observations_processor render_messages_processor reward_classifier_processor robometer_encoder
robot_action_to_policy_action_processor smolvla_new_line_processor time_limit_processor to_batch_processor
to_batch_processor_action to_batch_processor_complementary_data to_batch_processor_observation
tokenizer_processor topreward_encoder torch2numpy_action_processor unnormalizer_processor
vla_jepa_binarize_gripper vla_jepa_clip_actions vla_jepa_pre_snap_gripper wall_x_task_processor
xvla_add_domain_id xvla_image_scale xvla_image_to_float xvla_imagenet_normalize xvla_rotation_6d_to_axis_angle
"""
SUPPORTED = [
    (name, file) for name, rule in STEPS.items() if rule.treatment != "refused" for file in rule.files
]


def load(folder: Path, steps: list[dict[str, Any]], file: str = PREPROCESSOR, **entries: Any) -> Pipeline:
    (folder / file).write_text(json.dumps({"name": "policy", "steps": steps, **entries}))
    return Pipeline.load(Checkpoint(folder, "test"), file)


def refuse(
    folder: Path, message: str, steps: list[dict[str, Any]], file: str = PREPROCESSOR, **entries: Any
) -> None:
    with pytest.raises(CheckpointError, match=message):
        load(folder, steps, file, **entries)


def settings(rule: StepRule) -> dict[str, Any]:
    """One allowed value for each setting that is checked by the table."""
    return {name: allowed[0] for name, allowed in rule.settings.items() if allowed is not None}


def test_the_table_has_every_step_that_lerobot_registers() -> None:
    assert sorted(STEPS) == sorted(REGISTERED.split())


@pytest.mark.parametrize(("name", "file"), SUPPORTED)
def test_a_supported_step_is_taken_with_its_settings_and_no_others(
    name: str, file: str, tmp_path: Path
) -> None:
    rule = STEPS[name]
    step = {"registry_name": name, "config": settings(rule)}
    assert list(load(tmp_path, [step], file).steps) == [name]
    assert list(load(tmp_path, [{"registry_name": name}], file).steps) == [name]
    for setting in ("stats", "a_setting_of_the_future"):
        config = {**settings(rule), setting: {}}
        refuse(tmp_path, f"setting of '{name}' '{setting}' is unknown", [{**step, "config": config}], file)
    for setting, allowed in rule.settings.items():
        if allowed is not None:
            config = {setting: "another value"}
            refuse(
                tmp_path, f"'{setting}' of '{name}' is 'another value'", [{**step, "config": config}], file
            )
    refuse(tmp_path, "entry 'weight' is unknown", [{**step, "weight": 1}], file)
    if rule.has_state:
        assert (
            load(tmp_path, [{**step, "state_file": "x.safetensors"}], file).state_file(name)
            == "x.safetensors"
        )
    else:
        refuse(tmp_path, "entry 'state_file' is unknown", [{**step, "state_file": "x.safetensors"}], file)
    if len(rule.files) == 1:
        [other] = {PREPROCESSOR, POSTPROCESSOR} - set(rule.files)
        refuse(tmp_path, f"'{name}' is supported in {file} only", [step], other)


def test_a_refused_step_is_named_with_the_reason(tmp_path: Path) -> None:
    refused = {name: rule.why for name, rule in STEPS.items() if rule.treatment == "refused"}
    assert len(refused) > 50
    for name, why in refused.items():
        for file in (PREPROCESSOR, POSTPROCESSOR):
            refuse(
                tmp_path,
                rf"steps\[0\]: step '{name}' is not supported: {why}",
                [{"registry_name": name}],
                file,
            )


def test_steps_and_entries_that_nobody_registers_are_refused(tmp_path: Path) -> None:
    refuse(tmp_path, "step 'my_step' is unknown", [{"registry_name": "my_step"}])
    refuse(tmp_path, "step 'my_module.MyStep' is unknown", [{"class": "my_module.MyStep"}])
    refuse(tmp_path, "entry 'version' is unknown", [], version=2)


@pytest.mark.parametrize(("first", "second"), ORDER)
def test_an_order_in_which_steps_have_another_effect_is_refused(
    first: str, second: str, tmp_path: Path
) -> None:
    steps = [{"registry_name": name} for name in (first, second)]
    assert list(load(tmp_path, steps).steps) == [first, second]
    refuse(tmp_path, f"'{first}' comes after '{second}'", steps[::-1])


def test_relative_actions_are_refused_unless_they_are_switched_off(tmp_path: Path) -> None:
    for name, file in (
        ("relative_actions_processor", PREPROCESSOR),
        ("absolute_actions_processor", POSTPROCESSOR),
    ):
        step = {"registry_name": name, "config": {"enabled": True}}
        refuse(tmp_path, f"'enabled' of '{name}' is True, supported is False", [step], file)
