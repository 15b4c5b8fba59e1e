# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A policy server and its clients over gRPC: answers, refusals, and what comes from strangers."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from smolvla_ros.image import decode_compressed, encode_jpeg, encode_png
from smolvla_ros.observation import Frame
from smolvla_ros.policy.chunk_inputs import ChunkInputs
from smolvla_ros.policy.guidance_settings import GuidanceSettings
from smolvla_ros.policy.policy import PolicyError, PolicyUnavailableError
from smolvla_ros.remote import policy_pb2, protocol
from smolvla_ros.remote.access import AccessError
from smolvla_ros.remote.client import RemoteModel
from smolvla_ros.remote.service import sizes_that_pay

from .fake_server import EXPECTED, JOINTS, STEPS, FakeModel

PICTURE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
JPEG = encode_jpeg(PICTURE)
IMAGES = {"camera1": JPEG, "camera2": encode_png(PICTURE)}
STATE = np.linspace(-1.0, 1.0, JOINTS, dtype=np.float32)


def client(server: Any, credentials: str = "", timeout_s: float = 5.0) -> RemoteModel:
    return RemoteModel([f"127.0.0.1:{server.port}"], credentials, timeout_s)


def infer(server: Any, message: Any, timeout_s: float = 5.0) -> Any:
    """The answer to a message, or to bytes in place of one; raises grpc.RpcError."""
    content = message if isinstance(message, bytes) else message.SerializeToString()
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        return channel.unary_unary(protocol.INFER)(content, timeout=timeout_s)


def observation(**changes: Any) -> Any:
    given = {"images": IMAGES, "state": STATE.tolist(), "task": "wipe", "noise_scale": 1.0} | changes
    return policy_pb2.Observation(**{"digest": "one", "client": "test"} | given)


def code(caught: Any) -> Any:
    return caught.value.code()


def test_a_client_gets_the_chunks_of_the_model(serve: Callable[..., Any], model: FakeModel) -> None:
    remote = client(serve(model))
    remote.noise_scale = 0.5
    pixels = {"camera1": decode_compressed(JPEG), "camera2": PICTURE}
    for seed in (0, 1):
        expected = model.chunk(ChunkInputs(pixels, STATE, "wipe", seed, 0.5))
        assert np.array_equal(remote.predict_chunk(IMAGES, STATE, "wipe"), expected)
    remote.reset()
    rows = np.full((STEPS + 3, JOINTS), 0.25, np.float32)
    guidance = GuidanceSettings(4, 8, "linear", 5.0)
    chunk = remote.predict_chunk(
        IMAGES,
        STATE,
        "wipe",
        prefix=rows,
        inference_delay=4,
        execution_horizon=8,
        schedule="linear",
        max_guidance_weight=5.0,
    )
    inputs = ChunkInputs(pixels, STATE, "wipe", 0, 0.5, rows[:STEPS], guidance)
    assert np.array_equal(chunk, model.chunk(inputs))
    assert chunk.dtype == np.float32 and remote.last_answer.together == 1


def test_the_description_of_the_checkpoint_survives_the_wire(serve: Callable[..., Any]) -> None:
    expected = client(serve(FakeModel())).expected
    for name in ("state", "action"):
        there, here = getattr(expected, name), getattr(EXPECTED, name)
        assert (there.source, there.mode) == (here.source, here.mode)
        assert all(np.array_equal(there.values[key], here.values[key]) for key in here.values)
    same = ("name", "image_keys", "image_size", "state_dim", "action_dim", "chunk_size", "fps", "renames")
    assert [getattr(expected, name) for name in same] == [getattr(EXPECTED, name) for name in same]


def test_images_are_sent_as_they_came_or_without_loss() -> None:
    assert protocol.sent_image(Frame("top", 0, decode_compressed(JPEG), JPEG)) == JPEG
    assert np.array_equal(decode_compressed(protocol.sent_image(Frame("top", 0, PICTURE))), PICTURE)


def test_the_health_service_answers(serve: Callable[..., Any]) -> None:
    server = serve(FakeModel())
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(service=protocol.SERVICE), timeout=5.0)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_requests_that_wait_together_are_computed_together_and_one_cannot_spoil_the_others(
    serve: Callable[..., Any],
) -> None:
    slow = FakeModel(0.02)
    server = serve(slow)
    assert server.service.queue.together == (1, 2, 4, 8)
    slow.held.clear()
    results: dict[str, Any] = {}

    def ask(task: str) -> None:
        try:
            results[task] = infer(server, observation(task=task, client=task))
        except grpc.RpcError as error:
            results[task] = error

    threads = [threading.Thread(target=ask, args=(task,)) for task in ("first", "a", "b", "refuse", "fail")]
    threads[0].start()
    until(lambda: slow.computed)
    for thread in threads[1:]:
        thread.start()
    until(lambda: len(server.service.queue) == 4)
    slow.held.set()
    for thread in threads:
        thread.join()
    assert slow.computed[0] == ["first"] and sorted(slow.computed[1]) == ["a", "b", "fail", "refuse"]
    assert results["refuse"].code() is grpc.StatusCode.INVALID_ARGUMENT
    assert results["fail"].code() is grpc.StatusCode.INTERNAL
    for task in ("first", "a", "b"):
        chunk = protocol.actions_from(policy_pb2.Chunk.FromString(results[task]), EXPECTED)
        assert chunk[0, 0] == pytest.approx(slow.chunk(inputs(task))[0, 0])


def inputs(task: str) -> ChunkInputs:
    return ChunkInputs({"camera1": decode_compressed(JPEG), "camera2": PICTURE}, STATE, task)


def until(condition: Callable[[], Any]) -> None:
    deadline_s = time.monotonic() + 10.0
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def test_only_sizes_that_are_faster_are_computed_together() -> None:
    class Slower(FakeModel):
        def predict_chunks(self, requests: Any) -> list[Any]:
            time.sleep(0.01 * len(requests))
            return super().predict_chunks(requests)

    assert sizes_that_pay(Slower(), EXPECTED, 8) == (1,)
    assert sizes_that_pay(FakeModel(0.01), EXPECTED, 6) == (1, 2, 4)


def test_clients_that_ask_all_the_time_get_equal_shares(serve: Callable[..., Any]) -> None:
    server = serve(FakeModel(0.01), max_together=1)
    until_s = time.monotonic() + 0.8
    counts = [0] * 4

    def ask(number: int) -> None:
        remote = client(server)
        while time.monotonic() < until_s:
            remote.predict_chunk({"camera1": JPEG}, STATE, "wipe")
            counts[number] += 1

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(counts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert min(counts) > 2 and max(counts) <= 1.5 * min(counts) + 1, counts


def test_what_would_come_too_late_is_not_computed(serve: Callable[..., Any]) -> None:
    model = FakeModel(0.2)
    server = serve(model, max_together=1)
    infer(server, observation())
    with pytest.raises(grpc.RpcError) as caught:
        infer(server, observation(), timeout_s=0.1)
    assert code(caught) is grpc.StatusCode.DEADLINE_EXCEEDED
    time.sleep(0.2)
    assert len(model.computed) == 1


def test_a_busy_server_says_when_to_come_again_and_is_left_alone_until_then(
    serve: Callable[..., Any],
) -> None:
    model = FakeModel(0.3)
    server = serve(model, max_together=1, max_waiting=1)
    remote = client(server, timeout_s=2.0)
    remote.predict_chunk(IMAGES, STATE, "wipe")  # so that the server knows how long it takes
    model.held.clear()
    others = [threading.Thread(target=infer, args=(server, observation(client=name))) for name in "ab"]
    for number, thread in enumerate(others):
        thread.start()
        until(lambda number=number: len(model.computed) == 2 and len(server.service.queue) == number)
    with pytest.raises(PolicyUnavailableError, match="1 requests wait, which is the most"):
        remote.predict_chunk(IMAGES, STATE, "wipe")
    with pytest.raises(PolicyUnavailableError, match="is busy"):
        remote.predict_chunk(IMAGES, STATE, "wipe")
    model.held.set()
    for thread in others:
        thread.join()
    time.sleep(0.3)
    remote.predict_chunk(IMAGES, STATE, "wipe")


def huge() -> bytes:
    """A PNG of 50000x50000 pixels in a few bytes."""
    content = bytearray(encode_png(np.zeros((1, 1, 3), np.uint8)))
    content[16:24] = (50_000).to_bytes(4, "big") * 2
    return bytes(content)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"images": {}}, "0 images"),
        ({"images": {"camera7": JPEG}}, "unknown to fake"),
        ({"images": {"camera1": b"noise"}}, "camera1"),
        ({"images": {"camera1": JPEG[:400]}}, "camera1|truncated|corrupt"),
        ({"images": {"camera1": huge()}}, "camera1"),
        ({"state": [0.0] * 5}, "state has 5 values, expected 6"),
        ({"state": [0.0] * 5 + [float("nan")]}, "not finite"),
        ({"task": "x" * 1000}, "1000 characters"),
        ({"noise_scale": 2.0}, "noise_scale"),
        ({"seed": 2**64 - 1}, "seed"),
        ({"continuation": {"positions": [0.0] * 5, "execution_horizon": 1, "schedule": "exp"}}, "positions"),
        ({"continuation": {"positions": [0.0] * 6000, "execution_horizon": 1}}, "1000 rows"),
        ({"continuation": {"execution_horizon": 0, "schedule": "exp"}}, "execution_horizon"),
        ({"continuation": {"execution_horizon": 1, "schedule": "never"}}, "schedule"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_observation_is_refused_by_name(
    serve: Callable[..., Any], model: FakeModel, changes: dict[str, Any], text: str
) -> None:
    with pytest.raises(grpc.RpcError, match=text) as caught:
        infer(serve(model), observation(**changes))
    assert code(caught) is grpc.StatusCode.INVALID_ARGUMENT
    assert not model.computed


def test_the_client_says_why_an_observation_is_refused(serve: Callable[..., Any]) -> None:
    remote = client(serve(FakeModel()))
    with pytest.raises(PolicyError, match="unknown to fake") as caught:
        remote.predict_chunk({"camera9": JPEG}, STATE, "wipe")
    assert not isinstance(caught.value, PolicyUnavailableError)


def test_too_large_a_message_and_too_many_requests_are_refused(
    serve: Callable[..., Any], model: FakeModel
) -> None:
    server = serve(model, max_message_mb=0.1, max_rate_hz=2.0)
    with pytest.raises(grpc.RpcError) as caught:
        infer(server, observation(images={"camera1": bytes(200_000)}))
    assert code(caught) is grpc.StatusCode.RESOURCE_EXHAUSTED
    for _ in range(2):
        infer(server, observation())
    with pytest.raises(grpc.RpcError, match="too many requests") as caught:
        for _ in range(3):
            infer(server, observation())
    assert code(caught) is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_noise_from_strangers_does_not_disturb(serve: Callable[..., Any], model: FakeModel) -> None:
    server = serve(model)
    choose = random.Random(0)
    valid = bytearray(observation().SerializeToString())
    for _ in range(60):
        damaged = bytearray(valid)
        for _ in range(choose.randrange(1, 20)):
            damaged[choose.randrange(len(damaged))] = choose.randrange(256)
        cut = damaged[: choose.randrange(len(damaged))] if choose.random() < 0.3 else damaged
        try:
            infer(server, bytes(cut))
        except grpc.RpcError as error:
            assert error.code() in {
                grpc.StatusCode.INVALID_ARGUMENT,
                grpc.StatusCode.INTERNAL,  # no protobuf
                grpc.StatusCode.FAILED_PRECONDITION,
            }, error
    for content in (b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(500)):
        with socket.create_connection(("127.0.0.1", server.port)) as stranger:
            stranger.sendall(content)
    infer(server, observation())


def test_another_checkpoint_at_the_same_address_is_not_used(serve: Callable[..., Any]) -> None:
    first = serve(FakeModel())
    remote = client(first, timeout_s=1.0)
    first.stop(0.0)
    serve(FakeModel(), "two", address=f"127.0.0.1:{first.port}")
    deadline_s = time.monotonic() + 10.0
    text = ""
    while "another checkpoint" not in text and time.monotonic() < deadline_s:
        with pytest.raises(PolicyUnavailableError) as caught:
            remote.predict_chunk(IMAGES, STATE, "wipe")
        text = str(caught.value)
        time.sleep(0.1)
    assert "another checkpoint is served now, fake; set `server` again" in text


def test_a_second_server_at_one_address_is_refused(serve: Callable[..., Any]) -> None:
    server = serve(FakeModel())
    with pytest.raises(AccessError, match=f"address 127.0.0.1:{server.port}"):
        serve(FakeModel(), address=f"127.0.0.1:{server.port}")


def test_with_a_token_only_its_holders_are_served(
    serve: Callable[..., Any], part: Callable[..., str]
) -> None:
    server = serve(FakeModel(), credentials=part("server", "server.pem", "server.key", "token"))
    robot = part("robot", "ca.pem", "token")
    client(server, robot).predict_chunk(IMAGES, STATE, "wipe")
    wrong = part("wrong", "ca.pem", "token")
    Path(wrong, "token").write_text("b2" * 16)
    with pytest.raises(PolicyError, match="the token is missing or wrong; give the credentials"):
        client(server, wrong)
    channel = grpc.secure_channel(
        f"127.0.0.1:{server.port}",
        grpc.ssl_channel_credentials(Path(robot, "ca.pem").read_bytes()),
    )
    with channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(protocol.DESCRIBE)(b"", timeout=5.0)
    assert code(caught) is grpc.StatusCode.UNAUTHENTICATED


def test_with_client_certificates_only_their_holders_are_served(
    serve: Callable[..., Any], part: Callable[..., str]
) -> None:
    server = serve(FakeModel(), credentials=part("server", "server.pem", "server.key", "clients.pem"))
    robot = part("robot", "ca.pem", "client.pem", "client.key")
    client(server, robot).predict_chunk(IMAGES, STATE, "wipe")
    for channel in (
        grpc.insecure_channel(f"127.0.0.1:{server.port}"),
        grpc.secure_channel(
            f"127.0.0.1:{server.port}",
            grpc.ssl_channel_credentials(Path(robot, "ca.pem").read_bytes()),
        ),
    ):
        with channel, pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(protocol.DESCRIBE)(b"", timeout=5.0)
        assert code(caught) is grpc.StatusCode.UNAVAILABLE
