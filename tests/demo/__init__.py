"""The demonstration: the whole way of a tape on one machine, checked as it is shown.

``python -m tests.demo`` plays it, ``python -m tests.demo down`` ends one that was kept.
"""
