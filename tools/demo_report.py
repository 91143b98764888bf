#!/usr/bin/python3
"""Turns the demo's steps (tab-separated on standard input) into DEMO_REPORT's JSON."""
import json
import sys

steps = []
for line in sys.stdin:
    step, expected, observed, ok, ms = line.rstrip("\n").split("\t")
    steps.append({"step": step, "expected": expected, "observed": observed, "ok": ok == "ok",
                  "ms": int(ms)})
json.dump(steps, sys.stdout, indent=2)
print()
