"""From a file to a finished run (SCENARIOS.md).

`loader` reads a file with `schema` (its shape), `problems` (what is wrong, in words), `moments` (when) and `selectors`
(whom); `runner` builds the cluster, `timeline` plays the entries, `watch` knows when it is steady and when it is over;
`record` writes what a real cluster's recording would show; `report`, with its parts, and `tables` print.
"""
