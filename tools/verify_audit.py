#!/usr/bin/python3
"""Verifies audit logs of exeat: verify_audit.py [[--seq N] --head HEX] FILE...

With --seq record N must have that head, and later ones may follow; else the last must have it.

Follows docs/formats/audit-chain.md and shares no code with `exeat audit verify`. Prints one line per
file, names the first broken record, and exits 1 unless every log is intact.
"""
import hashlib
import json
import math
import re
import sys

START = re.compile(rb'\{"unmapped":\{"exeat":\{"seq":([1-9][0-9]{0,19}),"prev":"([0-9a-f]{64})"[,}]')
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


def finite(text):
    if not math.isfinite(float(text)):
        raise ValueError("not a number of JSON")


def is_record(line):
    if len(line) > 128 * 1024 or not re.fullmatch(rb"\{[ -~]*\}", line):
        return False
    depth = 0
    for mark in STRING.sub("", line.decode("ascii")):
        depth += (mark in "{[") - (mark in "}]")
        if depth > 8:
            return False
    try:
        value = json.loads(line, parse_constant=finite, parse_float=finite, parse_int=finite)
        json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate is no character
        return True
    except (ValueError, OverflowError):
        return False


def verify(log, expected_head, expected_seq):
    """Returns the number of intact records and, for a broken log, the first bad line and why."""
    head, number = "0" * 64, 0
    for number, line in enumerate(log, start=1):
        start = START.match(line)
        if not line.endswith(b"\n"):
            return number - 1, number, "torn: it does not end"
        if not start or not is_record(line[:-1]):
            return number - 1, number, "not a record"
        if int(start[1]) != number:
            return number - 1, number, f"seq is {start[1].decode()}"
        if start[2].decode() != head:
            bad = max(number - 1, 1)
            return bad - 1, bad, f"not what prev of record {number} names"
        head = hashlib.sha256(line[:-1]).hexdigest()
        if number == expected_seq and head != expected_head:
            return number - 1, number, f"its head is {head}"
    if number < expected_seq:
        return number, number + 1, f"ends at record {number}, but {expected_seq} was written"
    if number == 0 or (expected_head and not expected_seq and expected_head != head):
        return number, number + 1, f"the head is {head if number else 'missing'}"
    return number, 0, f"head={head}"


def main(arguments):
    expected_head, expected_seq = "", 0
    if arguments[:1] == ["--seq"] and arguments[2:3] == ["--head"]:
        expected_seq, arguments = int(arguments[1]), arguments[2:]
    if arguments[:1] == ["--head"]:
        expected_head, arguments = arguments[1], arguments[2:]
    broken = not arguments
    for path in arguments:
        try:
            with open(path, "rb") as log:
                records, bad, what = verify(log, expected_head, expected_seq)
        except OSError as error:
            print(f"{path}: {error.strerror}; expected a log, as STATE/audit/audit.jsonl", file=sys.stderr)
            broken = True
            continue
        broken = broken or bad != 0
        print(f"{path}: records={records} " + (f"BROKEN line={bad}: {what}" if bad else f"INTACT {what}"))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
