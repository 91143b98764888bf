"""Waiting on conditions: tests never sleep and hope."""
import time


def wait_for(condition, what, timeout_s=10.0, every_s=0.02):
    """Returns the first truthy value of condition(); fails, naming `what`, when the time is up."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(every_s)


def holds_for(condition, what, duration_s, every_s=0.05):
    """Fails as soon as condition() is false within the duration."""
    deadline = time.monotonic() + duration_s
    while time.monotonic() < deadline:
        assert condition(), f"did not hold for {duration_s} s: {what}"
        time.sleep(every_s)
