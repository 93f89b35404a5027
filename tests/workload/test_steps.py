"""Each step: what the client asks of the control API, as docker does (SCENARIOS.md section 6)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import swarmsim.workload
from swarmsim.api.messages import CreateService, GetNode, GetService, RemoveService, UpdateNode, UpdateService
from swarmsim.api.objects import Service
from swarmsim.api.specs import Global, Replicated, ServiceSpec
from swarmsim.api.states import Availability
from swarmsim.errors import ApiError
from swarmsim.workload import STEPS, Book, Order, Step
from swarmsim.workload.availability import Drain
from swarmsim.workload.create import Create
from swarmsim.workload.remove import Remove
from swarmsim.workload.scale import Scale
from swarmsim.workload.update import Update, merged
from tests.scenario.fake_cluster import ANSWER, FakeCluster, found, spec


class FakeStack:
    """`update` gives the service another image."""

    def update(self, service: str, patch: dict[str, Any]) -> ServiceSpec:
        return spec(service, patch.get("deploy", {}).get("replicas", 1))


def carry_out(step: Step, *targets: str, cluster: FakeCluster | None = None, via: str | None = None) -> FakeCluster:
    cluster = cluster or FakeCluster()
    order = Order(step.verb, targets, via, Book({"web": spec("web")}, FakeStack()))
    cluster.env.run(until=cluster.env.process(step.carry_out(cluster, order)))
    return cluster


def requests(cluster: FakeCluster) -> list[Any]:
    return [request for _, _, request in cluster.asked]


def test_every_file_of_the_folder_is_registered() -> None:
    folder = Path(swarmsim.workload.__file__).parent

    files = {p.stem for p in folder.glob("*.py")} - {"__init__", "base"}

    assert files == {step.__module__.rsplit(".", 1)[1] for step in STEPS}


def test_a_step_is_in_the_trace_when_it_is_sent_and_when_it_is_answered() -> None:
    cluster = carry_out(Create(create="web"), "web")

    assert cluster.happened() == [(0, "StepSent"), (ANSWER, "StepAnswered")]
    assert cluster.trace[2].cause == 1
    assert cluster.trace[1].event.via == "m1"
    assert requests(cluster) == [CreateService(spec("web"))]


def test_a_client_asks_the_first_manager_that_is_up() -> None:
    cluster = FakeCluster()
    cluster.hosts["m1"].crash("power", 0)

    carry_out(Create(create="web"), "web", cluster=cluster)

    assert cluster.trace[2].event.via == "m2"


def test_a_refusal_is_a_fact_of_the_run() -> None:
    cluster = FakeCluster()
    cluster.answer = lambda request: ApiError("AlreadyExists", "name conflicts with an existing object")

    carry_out(Create(create="web"), "web", cluster=cluster, via="m2")

    answered = cluster.trace[2].event
    assert answered.error == "rpc error: code = AlreadyExists desc = name conflicts with an existing object"
    assert cluster.asked[0][1] == "m2"


def test_scale_keeps_all_but_the_replicas() -> None:
    cluster = carry_out(Scale(scale="web", replicas=9), "web")

    assert requests(cluster) == [GetService("web"), UpdateService("id-web", 7, spec("web", 9))]


def test_a_global_service_cannot_be_scaled() -> None:
    cluster = FakeCluster()
    cluster.answer = lambda request: Service("id", ServiceSpec("web", spec("web").task, Global()))

    carry_out(Scale(scale="web", replicas=9), "web", cluster=cluster)

    assert "scale can only be used with replicated" in cluster.trace[2].event.error


def test_remove_names_the_service_by_its_id() -> None:
    cluster = carry_out(Remove(remove="web"), "web")

    assert requests(cluster) == [GetService("web"), RemoveService("id-web")]


def test_drain_asks_for_one_node_after_the_other() -> None:
    cluster = carry_out(Drain(drain=["w1", "w2"]), "w1", "w2")

    asked = requests(cluster)
    assert [type(r) for r in asked] == [GetNode, UpdateNode, GetNode, UpdateNode]
    assert asked[1].spec.availability is Availability.DRAIN
    assert cluster.happened() == [(0, "StepSent"), (4 * ANSWER, "StepAnswered")]


def test_an_update_leaves_the_replicas_of_a_scale_alone() -> None:
    cluster = FakeCluster()
    cluster.answer = lambda r: Service("id", spec("web", 9)) if type(r) is GetService else found(r)

    carry_out(Update.model_validate({"update": "web", "image": "nginx:1.28"}), "web", cluster=cluster)

    assert requests(cluster)[1].spec.mode == Replicated(9)


def test_a_forced_update_counts_up() -> None:
    cluster = carry_out(Update.model_validate({"update": "web", "force": True}), "web")

    assert requests(cluster)[1].spec.task.force_update == 1


def test_updates_add_up() -> None:
    first, second = {"deploy": {"replicas": 3}, "image": "a"}, {"deploy": {"labels": {"a": "b"}}, "image": "c"}

    assert merged(first, second) == {"deploy": {"replicas": 3, "labels": {"a": "b"}}, "image": "c"}
