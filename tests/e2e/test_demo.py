"""The guided tour holds, reports, is quick, and leaves nothing behind however it ends."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

from harness import processes
from harness.edge import CLEAN, ROOT, binary, envoy
from harness.poll import wait_for

STEPS = ["blocked", "allowed", "unlisted", "rate_limited", "rotated", "revoked",
         "stream_cut", "audit_verified"]


@pytest.fixture
def place(directory, request):
    made = directory / str(len(list(directory.iterdir())))
    made.mkdir()
    made.chmod(0o777)
    return made


def start(place, **options):
    """The demo, with its temporary files in this test's own directory."""
    return subprocess.Popen(
        [options.pop("demo", str(ROOT / "demo"))], stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, cwd=place,
        env={**CLEAN, "EXEAT_BIN": binary(), "EXEAT_ENVOY": envoy(), "TMPDIR": str(place),
             "DEMO_REPORT": str(place / "report.json"), **options.pop("env", {})}, **options)


def assert_nothing_left(place):
    wait_for(lambda: not processes.mentioning(str(place)), "every process of the demo ended")
    assert list(place.glob("exeat-demo*")) == []


def test_every_step_holds(place):
    began = time.monotonic()
    demo = start(place)
    output, _ = demo.communicate(timeout=120)
    assert demo.returncode == 0, output
    report = json.loads((place / "report.json").read_text())
    assert [step["step"] for step in report] == STEPS
    for step in report:
        assert step["ok"] is True and step["observed"] == step["expected"] and step["ms"] >= 0
    assert time.monotonic() - began < 20
    assert output.count("guest$ ") == 7 and "exeat run" in output.strip().splitlines()[-1]
    assert "demo-key-" not in output
    assert_nothing_left(place)


def test_a_step_that_does_not_hold_fails_it(place):
    """The same script expecting something else at one step."""
    changed = place / "demo"
    text = (ROOT / "demo").read_text()
    assert text.count('end "403 session_revoked"') == 1
    changed.write_text(text.replace('end "403 session_revoked"', 'end "200"')
                       .replace('root=$(cd', f'root={ROOT} # $(cd'))
    changed.chmod(0o755)
    demo = start(place, demo=str(changed))
    output, _ = demo.communicate(timeout=120)
    assert demo.returncode == 1 and "FAIL" in output
    failed = [s["step"] for s in json.loads((place / "report.json").read_text()) if not s["ok"]]
    assert failed == ["revoked"]
    assert_nothing_left(place)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["int", "term"])
def test_interrupted_it_cleans_up(place, number):
    demo = start(place, start_new_session=True)
    for line in demo.stdout:
        if line.startswith("allowed"):
            break
    os.killpg(demo.pid, number)
    assert demo.wait(20) in (130, 143)
    demo.stdout.close()
    assert_nothing_left(place)


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests run as an ordinary user already")
def test_as_an_ordinary_user(place):
    for name, source in (("exeat", binary()), ("envoy", envoy())):
        shutil.copy(source, place / name)
        (place / name).chmod(0o755)
    tree = place / "tree"
    (tree / "tools").mkdir(parents=True)
    shutil.copy(ROOT / "demo", tree / "demo")
    for tool in ("demo_origin.py", "demo_report.py"):
        shutil.copy(ROOT / "tools" / tool, tree / "tools" / tool)
    demo = start(place, demo=str(tree / "demo"), user=65534, group=65534, extra_groups=[],
                 env={"EXEAT_BIN": str(place / "exeat"), "EXEAT_ENVOY": str(place / "envoy"),
                      "HOME": str(place)})
    output, _ = demo.communicate(timeout=120)
    assert demo.returncode == 0, output
    assert pathlib.Path(place / "report.json").exists()
    assert_nothing_left(place)
