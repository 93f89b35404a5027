"""A leader's control API over a fake manager, and a client."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from swarmsim.api.messages import CreateNetwork, CreateService, UpdateService
from swarmsim.api.objects import Certificate, Cluster, Node, NodeStatus, Service, Task, TaskStatus
from swarmsim.api.specs import (
    ClusterSpec,
    ContainerSpec,
    EndpointSpec,
    NetworkSpec,
    NodeSpec,
    PortConfig,
    PublishMode,
    ServiceSpec,
    TaskSpec,
)
from swarmsim.api.states import NodeRole, NodeState, TaskState
from swarmsim.errors import ApiError
from swarmsim.manager.controlapi import ControlApi
from tests.fake_manager import FakeManager

INGRESS, HOST = PublishMode.INGRESS, PublishMode.HOST
SECOND = 1_000_000


def container(**fields: Any) -> TaskSpec:
    return TaskSpec(ContainerSpec(fields.pop("image", "busybox"), **fields))


def spec(name: str = "web", task: TaskSpec | None = None, **fields: Any) -> ServiceSpec:
    return ServiceSpec(name, task or container(), **fields)


def port(published: int, mode: PublishMode = INGRESS, target: int = 80, protocol: str = "tcp") -> PortConfig:
    return PortConfig("", protocol, target, published, mode)


def publishing(name: str, *ports: PortConfig, **fields: Any) -> ServiceSpec:
    return spec(name, endpoint=EndpointSpec(ports=ports), **fields)


def node(id: str, role: NodeRole = NodeRole.WORKER, state: NodeState = NodeState.READY, expiry: int = 0) -> Node:
    certificate = Certificate(role, not_after=expiry)
    return Node(id, NodeSpec(desired_role=role), role, NodeStatus(state), certificate=certificate)


def task(id: str, state: TaskState, node_id: str = "", service: str = "", **fields: Any) -> Task:
    desired = fields.pop("desired", TaskState.RUNNING)
    return Task(id, service, fields.pop("spec", container()), TaskStatus(state, "m"), desired, 1, node_id, **fields)


class World:
    """Every node is a Raft member unless `members` says otherwise; `reachable` are those whose transport is active."""

    def __init__(self, *objects: Any, ingress: bool = True) -> None:
        self.manager = FakeManager()
        self.store = self.manager.store
        tokens = {f"join_token_{role}": f"SWMTKN-1-d-{role[0]}" for role in ("worker", "manager")}
        self.manager.create(Cluster("c", ClusterSpec(), **tokens))
        self.members: tuple[str, ...] = ("m1",)
        self.reachable = {"m1"}
        self.api = ControlApi("m1", self.store, lambda: self.members, self.can_remove)
        self.manager.add_machine(self.api, "controlapi")
        if ingress:
            self.ask(CreateNetwork(NetworkSpec("ingress", ingress=True)))
        if objects:
            self.manager.create(*objects)

    def can_remove(self, host: str) -> bool:
        """membership/cluster.go `CanRemoveMember`."""
        left = [m for m in self.members if m != host and m in self.reachable]
        return len(left) >= (len(self.members) - 1) // 2 + 1

    def ask(self, request: Any) -> Any:
        """The answer; an error is raised."""
        id = self.manager.request("controlapi", request)
        answer = self.manager.answers[id]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def refused(self, request: Any) -> tuple[str, str]:
        """Code and text of the refusal; and nothing was written."""
        commits = len(self.manager.commits)
        try:
            answer = self.ask(request)
        except ApiError as error:
            assert len(self.manager.commits) == commits, "a refusal left something behind"
            return error.code, error.text
        raise AssertionError(f"{request} was answered with {answer}")

    def create(self, wanted: ServiceSpec) -> Service:
        created: Service = self.ask(CreateService(wanted))
        return created

    def service(self, name: str = "web") -> Service:
        found: Service = self.store.by_name(Service, name)
        return found

    def change(self, name: str = "web", /, version: int | None = None, **fields: Any) -> UpdateService:
        """An update of the service, as it is now but for these fields."""
        service = self.service(name)
        spec = replace(service.spec, **fields)
        return UpdateService(service.id, service.version if version is None else version, spec)
