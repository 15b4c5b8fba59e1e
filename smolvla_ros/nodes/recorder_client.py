# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Calls of the recorder's services by single keys."""

from __future__ import annotations

import time

from std_srvs.srv import Trigger

from smolvla_ros.nodes.client_node import ClientNode
from smolvla_ros.nodes.service_caller import ServiceCaller

TOGGLE_KEYS = " \r\n"
VERBS = {"s": "success", "f": "failure", "d": "discard", "r": "rerecord"}  # by key
ENDING_VERBS = ("stop", "success", "failure", "discard")
ANSWER_S = 65.0  # a slow disk delays it by 60 s; after that the recorder was ended, and the request is lost


class RecorderClient:
    """Calls the service of a key and prints the response. While a response is due, keys only say so."""

    def __init__(self, client: ClientNode) -> None:
        self._is_recording = False  # according to the responses
        self._pending_verb, self._sent_s = "", 0.0
        verbs = ("start", "stop", *VERBS.values())
        self._services = ServiceCaller(client.node, "recorder", dict.fromkeys(verbs, Trigger))

    def press(self, key: str) -> None:
        """Call the service of a key; other keys are ignored."""
        verb = ("stop" if self._is_recording else "start") if key in TOGGLE_KEYS else VERBS.get(key, "")
        if not verb:
            return
        if self._pending_verb and time.monotonic() - self._sent_s < ANSWER_S:
            print(f"{verb}: ignored, {self._pending_verb} is not answered yet", flush=True)
            return
        if self._services.call(verb, lambda response: self._on_response(verb, response)):
            self._pending_verb, self._sent_s = verb, time.monotonic()
        else:
            print(f"{verb}: there is no service recorder/{verb}; is the recorder running?", flush=True)

    def _on_response(self, verb: str, response: Trigger.Response) -> None:
        self._pending_verb = ""
        print(response.message if response.success else f"{verb}: {response.message}", flush=True)
        if response.success:
            self._is_recording = verb not in ENDING_VERBS
        elif verb in ("start", "stop"):  # another client has started or ended an episode
            self._is_recording = verb == "start" and "is being recorded" in response.message
