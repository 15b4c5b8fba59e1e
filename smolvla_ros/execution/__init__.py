# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From chunks of actions to one safe joint command every control period.

trajectory -> fusion -> action_queue    positions over time; plan and chunk become one plan; what is due now
admission                               which chunks may enter the plan
latency, trigger                        how long answers take; when the next chunk is asked for
safety, follower                        how far a command may go; how the arm moves along the plan, and comes to rest
watchdog, arming                        what may be wrong with clock and joints; whether there may be a command at all
chunk_executor                          all of these together, one step a control period: start reading here
"""
