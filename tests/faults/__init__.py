"""Faults, load and swaps, against the real server with two workers: what must not happen, whatever goes wrong.

`make test-faults` runs all of it; what is quick runs with the other tests that drive a server (`make test-slow`).
"""
