"""Bodies: the simulated world, the only place for SimPy's mechanics. It knows no protocol.

`host` joins machines to SimPy: drivers, timers, calls, crashes. `network` and `links` carry messages, `disk` keeps what
was synced, `engine` runs containers, `rng` gives named streams, `topology` shows the network as a networkx graph.

Where does time pass? On a link (latency 200 us to 1 ms a packet by default), in an fsync (1 to 3 ms, fitted to the
recordings of a real cluster, where a proposal takes 5 to 7 ms), in a pull, a start and a stop (x-sim), in timers.
"""
