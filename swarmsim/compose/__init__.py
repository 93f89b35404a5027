"""A stack file as Docker reads it, and what `docker stack deploy` makes of it.

    stack = load_stack(["shop.yml"], name="shop", env={"TAG": "1.27"})
    stack.services, stack.networks, stack.secrets, stack.configs    # specs, in the order of creation
    stack.warnings                                                  # what the client says, and what it should

This is the client's half of a deploy; the manager's half is `manager.validation`. It is made after docker/cli 28.2
(cli/compose), and was compared with the real client: what it refuses, what it sends, how it merges files, its quirks.

    source.py         a file or sections of a scenario: data, the line of each path, problems
    reader.py         YAML with line numbers                  units.py        durations, sizes, CPUs, shell words
    interpolation.py  ${VARIABLES} and casts                  short_forms.py  8080:80/udp, data:/var/lib:ro
    schema.py         keys and types, version by version      images.py       image references
    decode.py         one form for each thing                 env_file.py     env_file, side files
    merge.py          -c base.yml -c more.yml                 behaviour.py    x-sim
    convert.py        to specs: names, labels, defaults       loader.py       the doors, the order of work

Problems are `errors.Problem`s in Docker's words and, after a semicolon, what to write; all that one step finds are
told at once.

Decisions of ours, where Docker leaves a choice or a simulator must make one:

- Order. Docker walks Go maps and creates services in random order; here file order counts, and what the client sends
  unsorted is sorted.
- Variables come from the scenario's `env:`, never from the shell, and an unset one is warned of. `~` is HOME in there.
- What is external (networks, secrets, configs that some service uses) is taken to be there: it is created first,
  without the stack's labels, and warned of. The simulated cluster is new: else no such stack could be deployed.
- The source of a bind stays relative to its file, where Docker makes it absolute: a run is the same in every folder.
- What the daemon refuses because SwarmKit has no value for it (restart condition `bogus`, a network of driver `bridge`)
  is an error of the file, in the daemon's words. All else that a manager judges is left to the simulated one.
- Images are never resolved to digests: there is no registry, which is what the client does when it cannot reach one.
- Services that a scenario writes in place are created as `docker service create` would: under their own names, without
  a stack's labels, `default` network and alias.
"""

from .loader import Stack, load_inline, load_stack
from .reader import parse_yaml, read_yaml

__all__ = ["Stack", "load_inline", "load_stack", "parse_yaml", "read_yaml"]
