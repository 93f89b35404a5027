"""Broken files: each mistake is one clear line `FILE:LINE: what is wrong; what to write`, exit code 2, no traceback.

SCENARIOS.md section 10. A case is named after the rule that the file breaks.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

from swarmsim.cli import main

HEAD = """\
cluster: {managers: 3, workers: 3}
services:
  web: {image: nginx, deploy: {replicas: 6}}
"""

# rule -> (what follows HEAD, from line 4 on; the line that is named; a part of the text)
AFTER_HEAD: dict[str, tuple[str, int, str]] = {
    # section 10, word for word
    "only a manager has a log on its disk": (
        "timeline:\n  - {at: 10s, disk: 2 of workers, is: full}\n",
        5,
        "`disk`: `w1` is a worker, and only a manager writes a log to its disk; write disk: m3",
    ),
    "a space is missing after the colon": (
        "timeline:\n  - {at:10s, crash: w1}\n",
        5,
        "unknown key `at:10s` in `crash`; a space is missing after the colon",
    ),
    "several are a list": (
        "timeline:\n  - {at: 10s, crash: m1, m2}\n",
        5,
        "unknown key `m2` in `crash`; several are a list: [m1, m2]",
    ),
    "at least six is written 6..": (
        "expect:\n  - {service: web, running: >=6}\n",
        5,
        "no YAML at `>=6`; at least six is written 6..",
    ),
    # slips
    "three are a list, too": ("timeline:\n  - {at: 10s, crash: m1, m2, m3}\n", 5, "[m1, m2, m3]"),
    "a verb without its space": ("timeline:\n  - {at: 10s, crash:w1}\n", 5, "a space is missing after the colon"),
    "at most six is written ..6": (
        "expect:\n  - {service: web, running: <=6}\n",
        5,
        "`<=6` is no count; at most six is written ..6",
    ),
    "not the leader is no tag": ("timeline:\n  - {at: 5s, crash: !leader}\n", 5, "write followers"),
    "only true and false are booleans": (
        "timeline:\n  - {at: 5s, update: web, force: yes}\n",
        5,
        "`yes` is no boolean; write true or false",
    ),
    # disks
    "what of a manager is corrupted": (
        "timeline:\n  - {at: 5s, corrupt: m2, what: disk}\n",
        5,
        "`what`: `disk` is not possible; write log, snapshot or key",
    ),
    "what of a node is wiped": ("timeline:\n  - {at: 5s, wipe: m2, what: log}\n", 5, "write raft or swarm"),
    "a disk that is wiped is wiped at once": (
        "timeline:\n  - {at: 5s, wipe: m2, for: 10s}\n",
        5,
        "unknown key `for` in `wipe`",
    ),
    "only a loss of power tears a record": (
        "timeline:\n  - {at: 5s, crash: m2, how: process, torn: true}\n",
        5,
        "`torn` is for a loss of power: with how: process the disk is whole; leave it out",
    ),
    "torn or not torn": ("timeline:\n  - {at: 5s, crash: m2, torn: half}\n", 5, "`half` is no boolean"),
    "a host that is there joins again only when it was wiped": (
        "timeline:\n  - {at: 5s, wipe: m2, what: raft}\n  - {at: 9s, join: m2}\n",
        6,
        "`join`: the cluster has a node `m2` already",
    ),
    "a swarm has one cluster object": (
        "timeline:\n  - {at: 5s, update_swarm: prod, snapshot_interval: 5}\n",
        5,
        "a swarm's only cluster object is called `default`, not `prod`; write update_swarm: default",
    ),
    "an update of the swarm changes something": (
        "timeline:\n  - {at: 5s, update_swarm: default}\n",
        5,
        "`update_swarm` changes nothing; write one of task_history_limit, snapshot_interval",
    ),
    "a snapshot interval is a number of entries": (
        "timeline:\n  - {at: 5s, update_swarm: default, snapshot_interval: 5s}\n",
        5,
        "`5s` is no whole number; write one such as 100",
    ),
    # keys and verbs
    "did you mean a key": ("expect:\n  - {service: web, running: 6, withn: 5s}\n", 5, "did you mean `within`?"),
    "did you mean a verb": ("timeline:\n  - {at: 5s, crahs: w1}\n", 5, "did you mean `crash`?"),
    "did you mean a key at the top": ("timelin: []\n", 4, "did you mean `timeline`?"),
    "an unknown key at the top": ("foo: 1\n", 4, "unknown key `foo` in the scenario; its keys are"),
    "an unknown verb": ("timeline:\n  - {at: 5s, combust: w1}\n", 5, "unknown verb `combust`; there are create"),
    "two verbs": ("timeline:\n  - {at: 5s, crash: w1, drain: w2}\n", 5, "an entry has one verb, write two entries"),
    "no verb": ("timeline:\n  - {at: 5s}\n", 5, "an entry needs a verb"),
    "no moment": ("timeline:\n  - {crash: w1}\n", 5, "`at` is missing in `crash`; write at: 10s"),
    "a key of another verb": ("timeline:\n  - {at: 5s, kill: web, for: 5s}\n", 5, "unknown key `for` in `kill`"),
    "an entry that is no mapping": ("timeline:\n  - crash w1\n", 5, "an entry must be a mapping, not `crash w1`"),
    "a timeline that is no list": ("timeline: {at: 5s, crash: w1}\n", 4, "`timeline` must be a list, not a mapping"),
    "a missing setting": ("timeline:\n  - {at: 5s, delay: w1}\n", 5, "`by` is missing in `delay`; write by: 200ms"),
    "a missing share": ("timeline:\n  - {at: 5s, loss: w1}\n", 5, "`share` is missing in `loss`"),
    "a missing number of replicas": ("timeline:\n  - {at: 5s, scale: web}\n", 5, "`replicas` is missing in `scale`"),
    # reserved words
    "a condition that is no mapping": ("timeline:\n  - {when: steady, crash: w1}\n", 5, "`when` must be a mapping"),
    "a condition with a time": (
        "timeline:\n  - {when: {service: web, running: 6, within: 5s, after: 0s}, crash: w1}\n",
        5,
        "`within` has no place in `when`; write wait: 1s beside it",
    ),
    "a condition that counts": (
        "timeline:\n  - {when: {leader_changes: 1}, crash: w1}\n",
        5,
        "is no state of things, and cannot be waited for",
    ),
    "a wait for nothing": (
        "timeline:\n  - {at: 5s, wait: 1s, crash: w1}\n",
        5,
        "`wait` counts from the condition of `when`",
    ),
    "a state of tasks that there is not": (
        "expect:\n  - {service: web, tasks: 6, state: happy}\n",
        5,
        "`happy` is no state of a task; write new, pending",
    ),
    "tasks in no state": ("expect:\n  - {service: web, tasks: 6}\n", 5, "`tasks` counts those in one state"),
    "a state of an update that there is not": (
        "expect:\n  - {service: web, update: done}\n",
        5,
        "`done` is no state of an update; write none, updating",
    ),
    "freeze is not yet": ("timeline:\n  - {at: 5s, freeze: w1}\n", 5, "`freeze` is not yet a verb"),
    "a stack file that is not there": (
        "timeline:\n  - {at: 5s, deploy: shop.yml}\n",
        5,
        "`deploy`: shop.yml: no such file; write the path of a stack file, from this file on",
    ),
    "a deploy without a file": (
        "timeline:\n  - {at: 5s, deploy: }\n",
        5,
        "`deploy`: `None` is no stack file; write shop.yml",
    ),
    "another way to resolve images": (
        "timeline:\n  - {at: 5s, deploy: shop.yml, resolve_image: sometimes}\n",
        5,
        "`resolve_image`: Invalid option sometimes for flag --resolve-image; write always, changed, never",
    ),
    "variables of a deploy that are a list": (
        "timeline:\n  - {at: 5s, deploy: shop.yml, env: [TAG=2]}\n",
        5,
        "`env`: variables are a mapping of texts; write env: {TAG: '1.28'}",
    ),
    "a stack that nobody deploys": (
        "timeline:\n  - {at: 5s, remove_stack: shop}\n",
        5,
        "`remove_stack`: unknown stack `shop`; the file has no stack",
    ),
    "a node that leaves via another": (
        "timeline:\n  - {at: 5s, leave: w1, via: m1}\n",
        5,
        "`leave` is said to the node itself, and no manager is asked; leave `via` out",
    ),
    "a node that leaves and is not there": ("timeline:\n  - {at: 5s, leave: w9}\n", 5, "`leave`: unknown node `w9`"),
    "labels of no kind": (
        "timeline:\n  - {at: 5s, label: w1, labels: zone}\n",
        5,
        "labels are a mapping; write labels",
    ),
    "joining under a name that is taken": (
        "timeline:\n  - {at: 5s, join: w1}\n",
        5,
        "the cluster has a node `w1` already",
    ),
    "joining as nothing that there is": (
        "timeline:\n  - {at: 5s, join: w9, as: witness}\n",
        5,
        "`witness` is not possible",
    ),
    "sometime is not yet": ("expect:\n  - {service: web, running: 6, sometime: true}\n", 5, "`sometime` is not yet"),
    "a rule that there is not": ("without: [orphanin]\n", 4, "did you mean `orphaning`?"),
    "minorities are not yet": ("timeline:\n  - {at: 5s, crash: minority of managers}\n", 5, "not yet"),
    "shares of nodes are not yet": ("timeline:\n  - {at: 5s, crash: 30% of workers}\n", 5, "not yet"),
    # durations and moments
    "a duration without unit": ("duration: 60\n", 4, "`duration`"),
    "not even zero goes without unit": ("timeline:\n  - {at: 0, crash: w1}\n", 5, "`at`: `0` is no moment"),
    "a negative time": ("timeline:\n  - {at: -5s, crash: w1}\n", 5, "`at`: "),
    "a range backwards": ("timeline:\n  - {at: 5s..1s, crash: w1}\n", 5, "`at`: "),
    "a for without unit": ("timeline:\n  - {at: 5s, crash: w1, for: 30}\n", 5, "`for`: "),
    "an unknown unit": ("timeline:\n  - {at: 5sec, crash: w1}\n", 5, "`at`: "),
    "a run longer than ten years": ("duration: 4000d\n", 4, "at most ten years"),
    "a run of no time": ("duration: 0s\n", 4, "more than 0s"),
    "an unknown anchor": ("timeline:\n  - {at: crash + 5s, drain: w1}\n", 5, "no entry of the timeline is called"),
    "did you mean an anchor": ("timeline:\n  - {at: stedy, drain: w1}\n", 5, "did you mean `steady`?"),
    "an anchor that occurs twice": (
        "timeline:\n  - {at: 1s, crash: w1}\n  - {at: 2s, crash: w2}\n  - {at: crash, drain: w3}\n",
        7,
        "`crash` occurs 2 times; give the one you mean a `name:`",
    ),
    "anchors in a circle": (
        "timeline:\n  - {at: drain, crash: w1}\n  - {at: crash, drain: w2}\n",
        5,
        "anchors go in a circle: crash waits for drain waits for crash",
    ),
    "an entry that waits for itself": ("timeline:\n  - {at: crash + 1s, crash: w1}\n", 5, "in a circle"),
    "the end of what has none": (
        "timeline:\n  - {at: 1s, crash: w1}\n  - {at: crash.end, drain: w2}\n",
        6,
        "has no end, it lasts to the end of the run; give it a `for:`",
    ),
    "a kill has no end": (
        "timeline:\n  - {at: 1s, kill: web.1}\n  - {at: kill.end, drain: w2}\n",
        6,
        "it is over at once",
    ),
    "a moment after the end": (
        "duration: 60s\ntimeline:\n  - {at: 70s, crash: w1}\n",
        6,
        "`at`: `70s` lies after the end of the run; duration is 60s",
    ),
    "an anchored moment after the end": (
        "duration: 60s\ntimeline:\n  - {at: 50s, crash: w1, for: 5s}\n  - {at: crash.end + 10s, drain: w2}\n",
        7,
        "lies after the end of the run",
    ),
    "a range where one moment is meant": (
        "expect:\n  - {service: web, running: 6, within: 5s, after: 1s..3s}\n",
        5,
        "a moment is one point",
    ),
    # selectors
    "an unknown node": ("timeline:\n  - {at: 5s, crash: w9}\n", 5, "unknown node `w9`; the cluster has m1, m2, m3, w1"),
    "a misspelt group": ("timeline:\n  - {at: 5s, crash: worker}\n", 5, "did you mean `workers`?"),
    "a range of nodes backwards": ("timeline:\n  - {at: 5s, crash: w3..w1}\n", 5, "backwards; write w1..w3"),
    "more than there are": ("timeline:\n  - {at: 5s, crash: 4 of workers}\n", 5, "`4 of workers` can never match"),
    "a count that is a word": ("timeline:\n  - {at: 5s, crash: two of workers}\n", 5, "`two` is no count"),
    "a group that is none": ("timeline:\n  - {at: 5s, crash: one of servers}\n", 5, "`servers` is no group"),
    "a label that no node has": ("timeline:\n  - {at: 5s, crash: zone=a}\n", 5, "no node has the label `zone=a`"),
    "several in one text": ('timeline:\n  - {at: 5s, crash: "w1, w2"}\n', 5, "several are a list; write [w1, w2]"),
    "an empty list of nodes": ("timeline:\n  - {at: 5s, crash: []}\n", 5, "an empty list means no node"),
    "an unknown service": ("timeline:\n  - {at: 5s, scale: wbe, replicas: 3}\n", 5, "did you mean `web`?"),
    "an unknown task's service": ("timeline:\n  - {at: 5s, kill: db.1}\n", 5, "unknown service `db`"),
    "slot zero": ("timeline:\n  - {at: 5s, kill: web.0}\n", 5, "slots count from 1"),
    "a node where a task is meant": ("timeline:\n  - {at: 5s, kill: w1}\n", 5, "`w1` is a node and no task"),
    "a service where a task is meant": ("timeline:\n  - {at: 5s, crash: node running web}\n", 5, "node running web.1"),
    "the target of nobody": ("timeline:\n  - {at: 5s, drain: foo.target}\n", 5, "called `foo`"),
    "the target of a step on a service": (
        "timeline:\n  - {at: 5s, scale: web, replicas: 3}\n  - {at: 6s, drain: scale.target}\n",
        6,
        "`scale` has no nodes as its target",
    ),
    "via a worker": ("timeline:\n  - {at: 5s, drain: w1, via: w2}\n", 5, "`w2` is a worker"),
    "via nobody": ("timeline:\n  - {at: 5s, drain: w1, via: m7}\n", 5, "unknown manager `m7`"),
    # values
    "a share without percent": ("timeline:\n  - {at: 5s, loss: w1, share: 30}\n", 5, "such as 30%"),
    "a share above all": ("timeline:\n  - {at: 5s, loss: w1, share: 130%}\n", 5, "0% to 100%"),
    "a way to crash that there is not": (
        "timeline:\n  - {at: 5s, crash: w1, how: softly}\n",
        5,
        "`softly` is not possible; write power, process or engine",
    ),
    "replicas that are no number": ("timeline:\n  - {at: 5s, scale: web, replicas: many}\n", 5, "a whole number"),
    "negative replicas": ("timeline:\n  - {at: 5s, scale: web, replicas: -1}\n", 5, "a whole number"),
    "an update that changes nothing": ("timeline:\n  - {at: 5s, update: web}\n", 5, "`update` changes nothing"),
    "a name that is a word of the language": (
        "timeline:\n  - {at: 5s, crash: w1, name: steady}\n",
        5,
        "`steady` is a word of the language",
    ),
    "a name that is a verb": ("timeline:\n  - {at: 5s, crash: w1, name: drain}\n", 5, "is a word of the language"),
    "two entries of one name": (
        "timeline:\n  - {at: 1s, crash: w1, name: a}\n  - {at: 2s, crash: w2, name: a}\n",
        6,
        "two entries are called `a`",
    ),
    "a service created twice": (
        "timeline:\n  - {at: 1s, create: web}\n  - {at: 2s, create: web}\n",
        6,
        "a service is created once",
    ),
    "a seed that is no number": ("seed: abc\n", 4, "`seed`: `abc` is no seed"),
    "a seed below zero": ("seed: -1\n", 4, "is no seed; write a whole number from 0 to 2^63-1"),
    "a name that is a list": ("name: [a]\n", 4, "`name`: a list is no name"),
    # expectations
    "no subject": ("expect:\n  - {running: 6}\n", 5, "an expectation needs a subject"),
    "two subjects": ("expect:\n  - {service: web, node: w1, running: 6}\n", 5, "an expectation has one subject"),
    "a misspelt subject": ("expect:\n  - {servic: web, running: 6}\n", 5, "did you mean `service`?"),
    "no property": ("expect:\n  - {service: web}\n", 5, "`service` needs a property; write one of running"),
    "two properties": ("expect:\n  - {service: web, running: 6, pending: 0}\n", 5, "write two expectations"),
    "within needs after": ("expect:\n  - {service: web, running: 6, within: 5s}\n", 5, "`within` needs `after`"),
    "after needs within": ("expect:\n  - {service: web, running: 6, after: 5s}\n", 5, "`after` needs `within`"),
    "within and until": (
        "expect:\n  - {service: web, running: 6, within: 5s, after: 0s, until: 9s}\n",
        5,
        "do not go with",
    ),
    "a counter has no within": (
        "expect:\n  - {service: web, started: 6, within: 5s, after: 0s}\n",
        5,
        "`started` is a counter",
    ),
    "until before from": ("expect:\n  - {leader: any, from: 9s, until: 5s}\n", 5, "is not before"),
    "an unknown state": ("expect:\n  - {node: w1, state: dead}\n", 5, "write ready, down, unknown or disconnected"),
    "a node that the world must find": ("expect:\n  - {node: one of workers, state: down}\n", 5, "in expect stand"),
    "error without pending": ("expect:\n  - {service: web, running: 0, error: no node}\n", 5, "pending: 1.. beside"),
    "a convergence that is no duration": ("expect:\n  - {convergence: soon}\n", 5, "or waived"),
    "a check that there is not": ("expect:\n  - {violates: gravity}\n", 5, "unknown check `gravity`"),
    "expectations that are no list": ("expect: {leader_changes: 0}\n", 4, "`expect` must be a list"),
    "counts backwards": ("expect:\n  - {service: web, running: 12..6}\n", 5, "backwards; write 6..12"),
    "half a replica": ("expect:\n  - {service: web, running: 1.5}\n", 5, "`1.5` is no count"),
}

# rule -> (the whole file, the line that is named (0: none), a part of the text)
WHOLE: dict[str, tuple[str, int, str]] = {
    "no cluster": ("timeline: []\n", 1, "`cluster` is missing; write cluster: {managers: 3, workers: 3}"),
    "a misspelt cluster": ("clutser: {managers: 3}\n", 1, "did you mean `cluster`?"),
    "a cluster that is no mapping": ("cluster: 3\n", 1, "`cluster` must be a mapping, not `3`"),
    "a cluster of nothing": ("cluster:\n", 1, "`cluster` must be a mapping, not nothing"),
    "no managers": ("cluster: {workers: 3}\n", 1, "`managers` is missing in `cluster`; write managers: 3"),
    "zero managers": ("cluster: {managers: 0}\n", 1, "write 1 to 99"),
    "a hundred managers": ("cluster: {managers: 100}\n", 1, "write 1 to 99"),
    "too many workers": ("cluster: {managers: 1, workers: 100000}\n", 1, "write 0 to 20 000"),
    "a node name that is a word": ("cluster: {managers: [leader]}\n", 1, "`leader` means something in the language"),
    "a node name that is none": ("cluster: {managers: [a b]}\n", 1, "`a b` is no hostname"),
    "two nodes of one name": ("cluster: {managers: [a, a]}\n", 1, "two nodes are called `a`"),
    "an unknown key in cluster": ("cluster: {managers: 1, wrkers: 2}\n", 1, "did you mean `workers`?"),
    "a node that differs but is not there": (
        "cluster:\n  managers: 1\n  nodes:\n    w1: {cpus: 2}\n",
        4,
        "unknown node `w1`; the cluster has m1",
    ),
    "an unknown key of a node": ("cluster:\n  managers: 1\n  defaults: {cpu: 2}\n", 3, "did you mean `cpus`?"),
    "memory without unit": ("cluster:\n  managers: 1\n  defaults: {memory: 8}\n", 3, "has no unit; write 8GiB"),
    "no cpus": ("cluster:\n  managers: 1\n  defaults: {cpus: 0}\n", 3, "is no number of CPUs"),
    "labels that are a list": ("cluster:\n  managers: 1\n  defaults: {labels: [a]}\n", 3, "labels are a mapping"),
    "a platform without its second half": (
        "cluster:\n  managers: 1\n  nodes: {m1: {platform: linux}}\n",
        3,
        "`linux` is no platform; write linux/aarch64 or windows/x86_64",
    ),
    "a generic resource without a value": (
        "cluster:\n  managers: 1\n  defaults: {generic_resources: [gpu]}\n",
        3,
        "write [gpu=2] or [gpu=a, gpu=b]",
    ),
    "a generic resource that is a number and a name": (
        "cluster:\n  managers: 1\n  defaults: {generic_resources: [gpu=2, gpu=a]}\n",
        3,
        "write [gpu=2] or [gpu=a, gpu=b]",
    ),
    "an unknown network": ("cluster: {managers: 1, network: moon}\n", 1, "write lan, wan or {latency"),
    "an unknown availability": ("cluster:\n  managers: 1\n  nodes: {m1: {availability: off}}\n", 3, "active, pause"),
    "an election of no ticks": ("cluster:\n  managers: 1\n  swarm: {election_tick: 0}\n", 3, "a whole number from 2"),
    "a list of scenarios": ("- cluster: {managers: 1}\n", 0, "mapping"),
    "a text": ("hello\n", 0, "mapping"),
    "an empty file": ("", 0, ""),
    "nothing but comments": ("# Question: why?\n", 0, ""),
    "a duplicate key": ("cluster: {managers: 1}\ncluster: {managers: 3}\n", 2, "cluster"),
    "no YAML": ("cluster: {managers: 1\nduration: 5s\n", -1, ""),
    "a tab": ("cluster:\n\tmanagers: 1\n", 2, ""),
    "an unknown alias": ("cluster: *nothing\n", 1, ""),
    "two documents": ("cluster: {managers: 1}\n---\ncluster: {managers: 1}\n", -1, ""),
    "a stack file that is not there": ("cluster: {managers: 1}\nstack: nowhere.yml\n", -1, "nowhere.yml"),
    "a stack of nothing": ("cluster: {managers: 1}\nstack: {name: a}\n", 2, "`file` is missing in `stack`"),
    "an unknown key of a stack": ("cluster: {managers: 1}\nstack: {file: a.yml, nme: b}\n", 2, "did you mean `name`?"),
    "variables that are a list": ("cluster: {managers: 1}\nenv: [A]\n", 2, "`env` must be a mapping, not a list"),
    "a key that Compose forbids": (
        "cluster: {managers: 1}\nservices:\n  web:\n    image: nginx\n    extends: {service: b}\n",
        -1,
        "extends",
    ),
    "a service key that Docker does not know": (
        "cluster: {managers: 1}\nservices:\n  web: {image: nginx, imgae: b}\n",
        -1,
        "imgae",
    ),
    "an unknown key in x-sim": (
        "cluster: {managers: 1}\nservices:\n  web: {image: nginx, x-sim: {pul: 1s}}\n",
        -1,
        "pul",
    ),
}


def complaints(path: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What `swarmsim validate` says of a file that is wrong."""
    code = main(["validate", str(path)])

    out, err = capsys.readouterr()
    assert code == 2, f"exit {code}: {out}{err}"
    assert "Traceback" not in err
    assert "a bug in swarmsim" not in err
    return err.splitlines()


def check(path: Path, line: int, part: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = complaints(path, capsys)

    assert said, "nothing was said"
    assert len(said) <= 10
    first = said[0]
    assert first.startswith(str(path)) or line < 0, first
    if line > 0:
        assert first.startswith(f"{path}:{line}: "), first
    assert part in first, first


@pytest.mark.parametrize("rule", AFTER_HEAD)
def test_a_mistake_is_told_with_its_line(rule: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, line, part = AFTER_HEAD[rule]
    path = tmp_path / "broken.yaml"
    path.write_text(HEAD + text)

    check(path, line, part, capsys)


@pytest.mark.parametrize("rule", WHOLE)
def test_a_file_that_is_wrong_as_a_whole(rule: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, line, part = WHOLE[rule]
    path = tmp_path / "broken.yaml"
    path.write_text(text)

    check(path, line, part, capsys)


def test_all_mistakes_are_told_at_once_in_order_of_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(
        HEAD + "timeline:\n  - {at: 5, crash: w1}\n  - {at: 5s, crash: w9}\nexpect:\n  - {service: wbe, running: 6}\n"
    )

    said = complaints(path, capsys)

    assert [int(re.match(rf"{path}:(\d+): ", line)[1]) for line in said] == [5, 6, 8]  # type: ignore[index]


def test_at_most_ten_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(HEAD + "timeline:\n" + "  - {at: 5, crash: w1}\n" * 30)

    assert len(complaints(path, capsys)) == 10


def test_one_slip_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(HEAD + "timeline:\n  - {at:10s, crash: w1}\n")

    assert len(complaints(path, capsys)) == 1


# ---- files that are no text at all -----------------------------------------------------------------------


@pytest.mark.parametrize("command", ["run", "validate", "test"])
def test_a_file_that_is_not_there(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "/nowhere/at-all.yaml"]) == 2

    assert "/nowhere/at-all.yaml" in capsys.readouterr().err


def test_a_folder_is_no_scenario(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(tmp_path)]) == 2

    assert str(tmp_path) in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "secret.yaml"
    path.write_text(HEAD)
    path.chmod(stat.S_IWUSR)

    check(path, 0, "", capsys)


def test_rubbish(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rubbish.yaml"
    path.write_bytes(bytes(range(256)) * 100)

    check(path, 0, "", capsys)


def test_a_hundred_megabytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At most 1 MiB (section 2), refused without being read."""
    path = tmp_path / "huge.yaml"
    with path.open("wb") as out:
        out.truncate(100 << 20)

    check(path, 0, "", capsys)


def test_an_alias_bomb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The expansion of anchors is limited (section 2)."""
    path = tmp_path / "bomb.yaml"
    lines = ["x-a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"x-a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    path.write_text("\n".join([*lines, HEAD]))

    check(path, -1, "", capsys)


def test_a_deep_nest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "deep.yaml"
    path.write_text("x-deep: " + "[" * 20_000 + "]" * 20_000 + "\n" + HEAD)

    check(path, -1, "", capsys)


def test_a_device_that_never_ends(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "/dev/zero"]) == 2

    assert "/dev/zero" in capsys.readouterr().err
