"""The container engine of one host: physics. How long a pull, a start, a run and a stop take.

It obeys the agent's controller (`api.engine`). Durations come from each task's `x-sim` behaviour, drawn from streams
named by node, what is done and the task, so that one task's draws move no other's. An image is pulled once for
each node (given up where nobody waits for it any more) and kept through a crash; containers are gone when the host goes
off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import simpy

from ..api.csi import CsiError
from ..api.engine import ContainerError, Prepare, Remove, Start, Stop, Wait, WatchHealth
from ..api.health import Health, first_verdict, health_check
from ..api.objects import Task
from ..api.specs import Times
from ..machine import SECOND, Execute
from ..trace.events import ContainerExited, ContainerHealthChanged, ContainerStarted, ImagePulled
from . import rng
from .driver import Driver, Failure, fire
from .host import Host
from .storage import COMMANDS, Storage, driver_of

Micros = int

#: How long an engine that was started again takes to say that a container of its former life is gone. Assumed; a
#: manager's word that the task shall stop comes sooner, so that the task ends as SHUTDOWN, as recorded.
RESTORE: Micros = 1_000_000

#: docker stop without a grace period of the service's own (api/defaults/service.go; the engine's default).
STOP_GRACE: Micros = 10_000_000

#: What an engine says of a command that its image lacks (daemon controller.go `Start`, and runc).
START_FAILED = "starting container failed: exec: executable file not found in $PATH"

#: Exit codes of a container that ends by SIGKILL and by SIGTERM (128 + the signal's number).
KILLED, TERMINATED = 137, 143


@dataclass(eq=False, slots=True)
class Container:
    """A task's container on a node. `exit_code` None while it has not ended."""

    task: str
    name: str
    service: str
    slot: int
    node: str
    spec: Task
    started_at: Micros | None = None
    exit_code: int | None = None
    stopping: bool = False
    ended: simpy.Event | None = None  # fires with the exit code
    run: int = 0  # counts starts, so that an old timer cannot end a new run
    health: Health = Health.STARTING
    watchers: list[simpy.Event] = field(default_factory=list)  # fire when the health changes, or with None at the end

    @property
    def running(self) -> bool:
        return self.started_at is not None and self.exit_code is None


@dataclass(eq=False, slots=True)
class Pull:
    """Of one image, for all tasks that wait for it: each with what it does then."""

    fails: bool  # no registry has the image; that does not matter where the node has it (controller.go `Prepare`)
    waiting: dict[str, list[tuple[simpy.Event, int]]] = field(default_factory=dict)  # task -> (its answer, cause)


class Engine:
    """All containers and images of one host."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.env = host.env
        self.images: set[str] = set()
        self.containers: dict[str, Container] = {}
        self._pulling: dict[str, Pull] = {}
        self._commands: dict[type, Callable[[Driver, Any], simpy.Event]] = {
            Prepare: self._prepare,
            Start: self._start,
            Wait: self._wait,
            WatchHealth: self._watch_health,
            Stop: self._stop,
            Remove: self._remove,
            **dict.fromkeys(COMMANDS, self._ask_storage),
        }
        self.storage: Storage | None = None  # the system behind the CSI plugin that is installed here, if any
        host.performers[Execute] = self._perform
        host.on_crash.append(self._crashed)

    def running(self) -> list[Container]:
        return [c for c in self.containers.values() if c.running]

    # -- what the controller asks --
    def _perform(self, driver: Driver, effect: Execute) -> simpy.Event:
        return self._commands[type(effect.command)](driver, effect.command)

    def _draw(self, what: str, task: Task, times: Times) -> Micros:
        low, high = times
        if low == high:
            return low
        return rng.stream(self.host.seed, what, self.host.name, task.id).randint(low, high)

    def _prepare(self, driver: Driver, command: Prepare) -> simpy.Event:
        task = command.task
        done = simpy.Event(self.env)
        if task.spec.container.image in self.images:
            self._create(task)
            return done.succeed()
        pull = self._pulling.get(task.spec.container.image) or self._pull(task, driver.out.cause)
        pull.waiting.setdefault(task.id, []).append((done, driver.out.cause))
        done.callbacks.append(lambda event: None if isinstance(event._value, Failure) else self._create(task))
        return done

    def _create(self, task: Task) -> None:
        if task.id not in self.containers:
            made = Container(task.id, task.name, task.service_name, task.slot, self.host.name, task)
            self.containers[task.id] = made

    def _pull(self, task: Task, cause: int) -> Pull:
        image, behaviour = task.spec.container.image, task.spec.container.behaviour
        pull = self._pulling[image] = Pull(behaviour.fail == "pull")
        times = behaviour.pull
        delay = times[0]
        if times[0] != times[1]:
            delay = rng.stream(self.host.seed, "pull", self.host.name, image).randint(*times)
        timeout = simpy.Timeout(self.env, delay, (image, pull, cause))
        timeout.callbacks.append(self._pulled)
        return pull

    def _pulled(self, event: simpy.Event) -> None:
        pull: Pull
        image, pull, cause = event._value
        if self._pulling.get(image) is not pull:
            return  # it was given up, or the host went off meanwhile: it begins again
        del self._pulling[image]
        if pull.fails:
            answer: Any = Failure(ContainerError(f"No such image: {image}"))
        else:
            answer = None
            self.images.add(image)
            cause = self.host.trace.record(ImagePulled(self.host.name, image), self.env.now, cause)
        for answers in pull.waiting.values():
            for done, waited in answers:
                fire(done, answer, cause or waited)

    def _give_up_pull(self, task: Task) -> None:
        """controller.go `Shutdown`, `cancelPull`: a task waits no more, and nobody pulls what nobody waits for."""
        image = task.spec.container.image
        pull = self._pulling.get(image)
        if pull is None or task.id not in pull.waiting:
            return
        for done, _ in pull.waiting.pop(task.id):
            done.succeed(Failure(ContainerError("context canceled")))  # not at once: the same agent asks
        if not pull.waiting:
            del self._pulling[image]

    def _start(self, driver: Driver, command: Start) -> simpy.Event:
        task = command.task
        done = simpy.Event(self.env)
        container = self.containers.get(task.id)
        if container is None:
            return done.succeed(Failure(ContainerError("No such container: " + task.id)))
        if container.started_at is not None:
            return done.succeed()
        delay = self._draw("start", task, task.spec.container.behaviour.start)
        timeout = simpy.Timeout(self.env, delay, (container, done, driver.out.cause))
        timeout.callbacks.append(self._started)
        return done

    def _started(self, event: simpy.Event) -> None:
        container: Container
        container, done, cause = event._value
        if self.containers.get(container.task) is not container:
            return
        if container.stopping:  # it was told to stop before it ran
            fire(done, Failure(ContainerError("container was stopped before it started")), cause)
            return
        if container.started_at is not None:  # asked twice
            fire(done, None, cause)
            return
        if container.spec.spec.container.behaviour.fail == "start":
            fire(done, Failure(ContainerError(START_FAILED)), cause)
            return
        container.started_at = self.env.now
        container.run += 1
        fact = ContainerStarted(self.host.name, container.task, container.name, container.service)
        seq = self.host.trace.record(fact, self.env.now, cause)
        behaviour = container.spec.spec.container.behaviour
        if behaviour.run is not None:
            delay = self._draw("run", container.spec, behaviour.run)
            timeout = simpy.Timeout(self.env, delay, (container, container.run, behaviour.exit, seq))
            timeout.callbacks.append(self._ran_out)
        self._probe(container, seq)
        fire(done, None, seq)

    # -- health checks: the probes themselves are not simulated, only when the first of them decides --
    def _probe(self, container: Container, cause: int) -> None:
        check = health_check(container.spec.spec.container)
        if check is not None:
            able = self._draw("health", container.spec, container.spec.spec.container.behaviour.health)
            verdict = first_verdict(check, able)
            timeout = simpy.Timeout(self.env, verdict.after, (container, container.run, verdict.health, cause))
            timeout.callbacks.append(self._judged)

    def _judged(self, event: simpy.Event) -> None:
        container: Container
        container, run, health, cause = event._value
        if container.running and container.run == run:
            container.health = health
            fact = ContainerHealthChanged(
                self.host.name, container.task, container.name, container.service, health.value
            )
            self._tell_watchers(container, self.host.trace.record(fact, self.env.now, cause))

    def _tell_watchers(self, container: Container, cause: int) -> None:
        watchers, container.watchers = container.watchers, []
        health = container.health if container.running else None
        for done in watchers:
            fire(done, health, cause)

    def _watch_health(self, driver: Driver, command: WatchHealth) -> simpy.Event:
        done = simpy.Event(self.env)
        container = self.containers.get(command.task.id)
        if container is None or not container.running:
            return done.succeed()
        if container.health is not command.known:
            return done.succeed(container.health)
        container.watchers.append(done)
        return done

    def _ran_out(self, event: simpy.Event) -> None:
        container, run, code, cause = event._value
        if container.running and container.run == run:
            self._end(container, code, "exited", cause)

    def _wait(self, driver: Driver, command: Wait) -> simpy.Event:
        done = simpy.Event(self.env)
        container = self.containers.get(command.task.id)
        if container is None:
            gone = Failure(ContainerError("No such container: " + command.task.id))
            return simpy.Timeout(self.env, RESTORE, gone)
        if container.exit_code is not None:
            return done.succeed(container.exit_code)
        self._tell_end(container, done)
        return done

    def _stop(self, driver: Driver, command: Stop) -> simpy.Event:
        done = simpy.Event(self.env)
        self._give_up_pull(command.task)
        container = self.containers.get(command.task.id)
        if container is None or not container.running:
            if container is not None:
                container.stopping = True
            return done.succeed(container.exit_code if container else None)
        if not container.stopping:
            container.stopping = True
            task = container.spec
            behaviour = task.spec.container.behaviour
            delay = self._draw("stop", task, behaviour.stop)
            grace = _grace(task)
            code = 0 if behaviour.on_stop == "complete" else TERMINATED
            if delay > grace:
                delay, code = grace, KILLED  # SIGKILL ends it
            timeout = simpy.Timeout(self.env, delay, (container, container.run, code, driver.out.cause))
            timeout.callbacks.append(self._stopped)
        self._tell_end(container, done)
        return done

    def _tell_end(self, container: Container, done: simpy.Event) -> None:
        """Let `done` happen with the exit code when the container ends."""
        if container.ended is None:
            container.ended = simpy.Event(self.env)
        container.ended.callbacks.append(lambda e: fire(done, e._value, e.cause))

    def _stopped(self, event: simpy.Event) -> None:
        container, run, code, cause = event._value
        if container.running and container.run == run:
            self._end(container, code, "stopped", cause)

    def _remove(self, driver: Driver, command: Remove) -> simpy.Event:
        container = self.containers.pop(command.task_id, None)
        if container is not None and container.running:
            self._end(container, KILLED, "killed", driver.out.cause)
        return simpy.Event(self.env).succeed()

    def _ask_storage(self, driver: Driver, command: Any) -> simpy.Event:
        name = driver_of(command)
        if self.storage is None:
            return simpy.Event(self.env).succeed(Failure(CsiError(f"plugin {name} not found")))
        return self.storage.ask(driver, command, name)

    # -- what the world does --
    def _end(self, container: Container, code: int, why: str, cause: int) -> None:
        container.exit_code = code
        fact = ContainerExited(self.host.name, container.task, container.name, container.service, code, why)
        seq = self.host.trace.record(fact, self.env.now, cause)
        self._tell_watchers(container, seq)
        if container.ended is not None:
            fire(container.ended, code, seq)

    def kill(self, task_id: str, code: int = KILLED, cause: int = 0) -> None:
        """A container's process dies (fault `kill`)."""
        container = self.containers[task_id]
        assert container.running, f"{container.name} does not run on {self.host.name}"
        self._end(container, code, "killed", cause)

    def clear(self, cause: int) -> None:
        """All containers are killed and removed (`docker rm --force`), and no pull is waited for any more."""
        self._pulling.clear()
        containers, self.containers = self.containers, {}
        for container in containers.values():
            container.ended = None
            if container.running:
                self._end(container, KILLED, "killed", cause)

    def _crashed(self, how: str, cause: int) -> None:
        self._pulling.clear()
        if how == "engine":  # its containers run on, and the engine that starts again finds them
            self.containers = {id: c for id, c in self.containers.items() if c.started_at is not None}
            return
        for container in self.containers.values():
            if container.running:
                container.ended = None
                container.watchers.clear()
                self._end(container, KILLED, "crash", cause)
        self.containers.clear()


def _grace(task: Task) -> Micros:
    """How long after SIGTERM the SIGKILL comes: whole seconds (moby executor/container/adapter.go `shutdown`)."""
    own = task.spec.container.stop_grace_period
    return STOP_GRACE if own is None else own // SECOND * SECOND
