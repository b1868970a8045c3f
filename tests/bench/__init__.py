"""Benchmarks: ours against peers that do the same work, on this machine, in one run.

``make bench [ONLY=overlay,transfer,ems] [JSON=file]``. A figure alone says more about the machine
than about the program, so what is reported is a ratio: how many times as fast as a peer we are
(above 1 we are ahead). All sides run in turn within a round, so that a machine that grows slower or
faster meanwhile does so for all of them.
"""
