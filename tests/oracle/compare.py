#!/usr/bin/env python3
"""Compare a simulated run with what a real SwarmKit cluster did in the same scenario.

    compare.py FACTS_DIR SCENARIO SIMULATED.jsonl [SIMULATED.jsonl ...] [--verbose]

FACTS_DIR/SCENARIO.json holds the facts of recordings of real runs (made from the recordings SCENARIO-N.jsonl by
`compare.py RECORDINGS_DIR SCENARIO --facts > FACTS_DIR/SCENARIO.json`; where the recordings stand in FACTS_DIR, they
are read instead). SIMULATED.jsonl are runs of swarmsim in the same format (`swarmsim run … --record FILE`). Facts are
read off both sides and compared:

* how many tasks of a service took each milestone step (state -> desired state) after each mark;
* when the first and the last of them did, counted from that mark;
* which node states were written, with which message, and when;
* how evenly running tasks are spread over nodes at the end of each phase.

A fact holds when the simulated value lies in the range of the real runs, widened by the tolerance.
Prints a line per fact that does not hold, then `SCENARIO: H of F facts hold`; exits 0 when all do.
"""

import argparse
import collections
import glob
import json
import os
import sys

MILESTONES = {"PENDING", "ASSIGNED", "READY", "RUNNING", "COMPLETE", "SHUTDOWN", "FAILED", "REJECTED", "ORPHANED"}
PASSIVE = {"returned", "new-leader", "api-error", "end", "demoted", "promoted"}
# seconds by which a phase's times may differ, by what started it: these depend on the phase of a
# heartbeat or on a randomised election timeout, which a handful of recordings cannot bound
SLACK = {"stop-node": 4.0, "start-node": 6.0, "demote": 8.0, "promote": 8.0, "stop-leader": 9.0}


def load(path):
    with open(path) as f:
        return [json.loads(line) for line in f if line.strip()]


def phases(events):
    """[(what, t, [events])]: the run cut at every mark that an operator or a fault made."""
    out = [("start", 0.0, [])]
    leader = None
    for e in events:
        if e["ev"] == "start":
            leader = e.get("leader")
        if e["ev"] == "mark":
            if e["what"] in PASSIVE:
                if e["what"] == "end":
                    break
                continue
            what = e["what"]
            if what == "stop-node" and e.get("node") == leader:
                what = "stop-leader"
            if out[-1][0] == what and e["t"] - out[-1][1] < 0.3:  # several at once are one phase
                continue
            out.append((what, e["t"], []))
        else:
            out[-1][2].append(e)
    return out


def read_facts(events):
    """{key: number}; keys sort by phase."""
    facts = {}
    placed = {}
    for i, (what, t0, evs) in enumerate(phases(events)):
        steps = collections.defaultdict(dict)
        nodes = collections.defaultdict(list)
        for e in evs:
            dt = e["t"] - t0
            if e["ev"] == "task":
                removed = e.get("action") == "REMOVE"
                if removed:
                    kind = "deleted"
                    placed.pop(e["id"], None)
                else:
                    if e["state"] == "RUNNING" and e["desired"] == "RUNNING":
                        placed[e["id"]] = (e["svc"], e["node"])
                    else:
                        placed.pop(e["id"], None)
                    if e["state"] not in MILESTONES:
                        continue
                    kind = f"{e['state']}->{e['desired']}"
                steps[(e["svc"], kind)].setdefault(e["id"], dt)
            elif e["ev"] == "node" and e.get("action") != "CREATE":
                nodes[(e["node"][0], e["state"], e.get("msg", ""))].append(dt)
        p = f"{i:02d} {what}"
        for (svc, kind), seen in steps.items():
            facts[(p, svc, kind, "tasks")] = len(seen)
            facts[(p, svc, kind, "first s")] = min(seen.values())
            facts[(p, svc, kind, "last s")] = max(seen.values())
        for (role, state, msg), times in nodes.items():
            if not msg and state == "READY":
                facts[(p, f"node {role}", state, "writes")] = len(times)
            else:
                facts[(p, f"node {role}", f"{state} {msg}".strip(), "writes")] = len(times)
                facts[(p, f"node {role}", f"{state} {msg}".strip(), "first s")] = min(times)
        for svc in sorted({s for s, _ in placed.values()}):
            per_node = collections.Counter(n for s, n in placed.values() if s == svc)
            facts[(p, svc, "running at the end", "tasks")] = sum(per_node.values())
            facts[(p, svc, "running at the end", "most on a node")] = max(per_node.values())
            facts[(p, svc, "running at the end", "nodes used")] = len(per_node)
    return facts


def slack(key, high):
    what = key[0].split(" ", 1)[1]
    if key[3] in ("first s", "last s"):
        return max(0.2, 0.15 * high, SLACK.get(what, 0.0))
    return 0


def compare(real, sim_runs, verbose=False):
    """(facts that hold, facts, a line for each that does not): `real` are the facts of each real run."""
    sims = [read_facts(s) for s in sim_runs]
    held = total = 0
    rows = []
    for key in sorted(set().union(*real, *sims)):
        values = [r.get(key) for r in real]
        seen = [v for v in values if v is not None]
        for n, s in enumerate(sims):
            v = s.get(key)
            if key[3] in ("first s", "last s") and (not seen or v is None):
                continue  # the count's fact already says that one side lacks it
            total += 1
            ok, want = judge(key, values, seen, v)
            held += ok
            if verbose or not ok:
                got = "nothing" if v is None else format(v, ".4g")
                rows.append(f"{'ok  ' if ok else 'MISS'} run {n + 1}  {' | '.join(key)}: real {want}, simulated {got}")
    return held, total, rows


def judge(key, values, seen, v):
    if not seen:
        return v is None, "nothing"
    if v is None:
        return None in values, f"{min(seen):g}..{max(seen):g}"
    low = 0 if None in values else min(seen)
    d = slack(key, max(seen))
    return low - d <= v <= max(seen) + d, f"{low:.4g}..{max(seen):.4g}" + (f" (+-{d:.2g})" if d else "")


def real_facts(folder, scenario):
    """The facts of each real run: from the recordings if they are there, else as they were written down."""
    paths = sorted(glob.glob(os.path.join(folder, f"{scenario}-*.jsonl")))
    if paths:
        return [read_facts(load(p)) for p in paths]
    path = os.path.join(folder, f"{scenario}.json")
    if not os.path.exists(path):
        sys.exit(f"no recording of {scenario} in {folder}, and no facts of one")
    with open(path) as f:
        table = json.load(f)
    runs = max(len(values) for _, values in table)
    return [{tuple(key): values[n] for key, values in table if values[n] is not None} for n in range(runs)]


def written(real):
    """Facts as JSON, a line each, times to the millisecond."""
    rows = []
    for key in sorted(set().union(*real)):
        values = [round(r[key], 3) if key in r else None for r in real]
        rows.append(json.dumps([list(key), values], ensure_ascii=False))
    return "[\n" + ",\n".join(rows) + "\n]"


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("facts_dir")
    ap.add_argument("scenario")
    ap.add_argument("simulated", nargs="*")
    ap.add_argument("--verbose", action="store_true")
    ap.add_argument("--facts", action="store_true", help="print the real runs' facts as JSON and stop")
    a = ap.parse_args()
    real = real_facts(a.facts_dir, a.scenario)
    if a.facts:
        print(written(real))
        return
    held, total, rows = compare(real, [load(p) for p in a.simulated], a.verbose)
    print(*rows, sep="\n")
    print(f"{a.scenario}: {held} of {total} facts hold")
    sys.exit(0 if total and held == total else 1)


if __name__ == "__main__":
    main()
