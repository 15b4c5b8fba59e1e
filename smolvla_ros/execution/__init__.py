# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From chunks of actions to one safe joint command per control period.

trajectory -> fusion -> action_queue    positions over time; merging a chunk into the plan; the plan and its next action
chunk_admission                         which chunks are accepted
latency, trigger                        latency statistics; when to request the next chunk
policy_source, operator_source          targets from a policy; targets from a person who has taken control
safety, command_shaper                  limits of position, step and acceleration; soft start, following and braking
watchdog, arming                        checks of clock and joint states; the state machine
chunk_executor                          all of these, one step per control period: start reading here
"""
