# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From chunks of actions to one safe joint command every control period.

trajectory -> fusion -> action_queue    positions over time; plan and chunk become one plan; what is due now
trigger                                 when the next chunk is asked for
safety, arming                          how far a command may go; whether there may be one at all
chunk_executor                          all of these together, one step a control period: start reading here
"""
