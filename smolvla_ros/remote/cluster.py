# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The service of a policy as replicas in a Ray cluster, behind the gRPC proxies of Ray Serve.

Each replica is a `PolicyService` with a model of its own. Serve starts, counts, replaces and updates replicas, and
sends each request to one. Its proxies listen at all addresses of their nodes, and have neither TLS nor tokens.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_health.v1 import health_pb2

from smolvla_ros.image import ImageError
from smolvla_ros.policy.policy import PolicyError
from smolvla_ros.policy.preflight.preflight import Expectations
from smolvla_ros.ray_cluster import ClusterError, ray_connection
from smolvla_ros.remote import policy_pb2, protocol
from smolvla_ros.remote.access import HEALTH, AccessError
from smolvla_ros.remote.request_queue import RefusalError
from smolvla_ros.remote.service import LONGEST_S, PolicyService, ServedModel, ServiceSettings, status_of
from smolvla_ros.settings import setting

logger = logging.getLogger(__name__)

APPLICATION = "policy"  # its name in Serve
HEALTH_METHOD = f"{HEALTH}Check"
ANSWER_S = 10.0  # within this time the proxies answer after the replicas have started

Loaded = tuple[ServedModel, Expectations, str]  # model, what it expects, digest


@dataclass(frozen=True)
class ClusterSettings(ServiceSettings):
    """The options of a policy in a cluster; those of ServiceSettings are of each replica."""

    port: int = setting(50051, "port of the proxies, at all addresses of each node", bounds=(1, 65535))
    insecure: bool = setting(
        False,
        "serve although anybody who reaches a node can use the policy, and images cross the network for all to see",
    )
    replicas: int = setting(1, "replicas, or with --max-replicas the fewest", bounds=(1, 10_000))
    max_replicas: int = setting(
        0,
        "most replicas: Serve starts more while requests wait, and ends them again; 0: always --replicas",
        bounds=(0, 10_000),
    )
    busy_requests: int = setting(
        2, "requests in a replica from which on Serve starts another one, with --max-replicas", bounds=(1, 64)
    )
    cpus: float = setting(1.0, "CPU cores of each replica", bounds=(0.0, 1000.0))
    gpus: float = setting(0.0, "GPUs of each replica; 0.5: two replicas share one", bounds=(0.0, 64.0))

    def check(self) -> None:
        """Raises AccessError for what would be open to everybody without --insecure."""
        if not self.insecure:
            raise AccessError(
                f"the proxies of Ray Serve listen at all addresses of each node (port {self.port}), without TLS or a "
                "token: keep other computers away by a firewall or a network of their own, and give --insecure"
            )


def add_policy_service(_servicer: Any, server: Any) -> None:
    """Tell a proxy of Serve the methods that it passes on to replicas; is called by its import path."""

    def passed_on(request: Any, answer: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(None, request.FromString, answer.SerializeToString)

    methods = {
        "Describe": passed_on(policy_pb2.DescribeRequest, policy_pb2.Description),
        "Infer": passed_on(policy_pb2.Observation, policy_pb2.Chunk),
    }
    check = {"Check": passed_on(health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse)}
    for service, handlers in ((protocol.SERVICE, methods), (HEALTH.strip("/"), check)):
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))


class PolicyReplica:
    """One replica; its methods are named as in policy.proto and by the health service."""

    def __init__(self, load: Callable[[], Loaded], settings: ClusterSettings) -> None:
        self._service = PolicyService(*load(), settings)
        self._service.start()

    def __del__(self) -> None:
        self._service.stop()

    async def Describe(self, _request: Any) -> Any:  # noqa: N802
        return self._service.description

    async def Check(self, _request: Any) -> Any:  # noqa: N802
        return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)

    async def Infer(self, message: Any, grpc_context: Any) -> Any:  # noqa: N802
        """A chunk; the call is cancelled by the proxy when the client no longer waits for it."""
        arrived_s = time.monotonic()
        peer, deadline_s = grpc_context.peer(), arrived_s + LONGEST_S
        try:
            outcome = await asyncio.to_thread(self._service.submit, message, peer, arrived_s, deadline_s)
            return await asyncio.wrap_future(outcome)
        except (PolicyError, ImageError, RefusalError) as error:
            code, text, trailing = status_of(error)
        grpc_context.set_code(code)
        grpc_context.set_details(text)
        grpc_context.set_trailing_metadata(list(trailing))
        return policy_pb2.Chunk()


def room_for_replicas(nodes: Iterable[Mapping[str, Any]], settings: ClusterSettings) -> int:
    """How many replicas the nodes (of `ray.nodes`) have cores and GPUs for, if nothing else runs there."""
    wanted = {name: count for name, count in (("CPU", settings.cpus), ("GPU", settings.gpus)) if count}
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    if not wanted:
        return settings.replicas
    return sum(min(int(node.get(name, 0.0) / count) for name, count in wanted.items()) for node in alive)


def deploy(load: Callable[[], Loaded], settings: ClusterSettings, cluster: str) -> list[str]:
    """Serve what `load` gives, in place of what is served, in the cluster at AUTO or host:port; returns the addresses.

    It is served until Serve is shut down, whatever becomes of this process. Replicas that serve something else answer
    the requests that they have, and are replaced some at a time. Raises ClusterError.
    """
    with ray_connection(cluster):
        import ray
        from ray import serve

        room = room_for_replicas(ray.nodes(), settings)
        if room < settings.replicas:  # Serve would wait without a word
            logger.warning(
                "%d replicas with %g CPU cores and %g GPUs each are wanted, and the nodes have room for %d: waiting "
                "for more nodes; Ctrl-C ends this command, `ray status` shows what the nodes have",
                settings.replicas,
                settings.cpus,
                settings.gpus,
                room,
            )
        servicer = f"{__name__}.{add_policy_service.__name__}"
        options = {"port": settings.port, "grpc_servicer_functions": [servicer]}
        serve.start("EveryNode", {"host": "127.0.0.1"}, options)
        most = settings.max_replicas
        scaling: dict[str, Any] = {"num_replicas": settings.replicas}
        if most:
            limits = {"min_replicas": settings.replicas, "max_replicas": most}
            scaling = {"autoscaling_config": {**limits, "target_ongoing_requests": settings.busy_requests}}
        replica = serve.deployment(PolicyReplica).options(
            name=APPLICATION,
            max_ongoing_requests=2
            * settings.max_waiting,  # so that it is the queue of the replica that refuses
            ray_actor_options={"num_cpus": settings.cpus, "num_gpus": settings.gpus},
            **scaling,
        )
        try:
            serve.run(replica.bind(load, settings), name=APPLICATION, route_prefix=f"/{APPLICATION}")
        except (RuntimeError, ray.exceptions.RayError) as error:
            raise ClusterError(f"the policy cannot be served: {error}") from error
        nodes = {node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
    return _answering([f"{node}:{settings.port}" for node in sorted(nodes)])


def _answering(addresses: list[str]) -> list[str]:
    """The addresses at which a proxy answers; raises ClusterError if there is none."""
    request = health_pb2.HealthCheckRequest(service=protocol.SERVICE).SerializeToString()
    problem = ""
    until_s = time.monotonic() + ANSWER_S
    while time.monotonic() < until_s:
        found = []
        for address in addresses:
            with grpc.insecure_channel(address) as channel:
                try:
                    channel.unary_unary(HEALTH_METHOD)(request, timeout=1.0)
                    found.append(address)
                except grpc.RpcError as error:
                    problem = f"{address}: {error.details()}"
        if found:
            return found
        time.sleep(0.2)
    raise ClusterError(
        f"no proxy of Serve answers ({problem}); if Serve runs in this cluster with other options, end it and try "
        "again: serve shutdown -y"
    )
