"""Benchmarks: ours against a peer that does the same work, on this machine, in one run.

``make bench [ONLY=overlay,transfer,ems] [JSON=file]``. A figure alone says more about the machine
than about the program, so what is reported is a ratio: how many times as fast as the peer we are
(above 1 we are ahead). Runs of subject and peer alternate, so that a machine that grows slower or
faster meanwhile does so for both.
"""
