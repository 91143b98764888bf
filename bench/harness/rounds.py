"""Interleaved rounds, what was dropped, and the ratio that is reported."""
import dataclasses
import statistics

from .machine import Window

MAX_FOREIGN = 0.05


@dataclasses.dataclass
class Plan:
    rounds: int = 7
    seconds: float = 10
    quick: bool = False


@dataclasses.dataclass
class Result:
    id: str
    what: str
    ratios: list  # of the rounds that count
    goal: float
    at_most: bool = False  # the goal is a ceiling
    dropped: int = 0       # rounds that others disturbed
    disturbed: bool = False  # every round was, so all of them count
    rates: str = ""

    @property
    def ratio(self):
        return statistics.median(self.ratios)

    @property
    def ok(self):
        return self.ratio <= self.goal if self.at_most else self.ratio >= self.goal

    def json(self):
        return {"id": self.id, "ratio": round(self.ratio, 3), "low": round(min(self.ratios), 3),
                "high": round(max(self.ratios), 3), "goal": self.goal, "ok": self.ok}


def interleave(plan, measure, combine=lambda a, b: a / b):
    """Rounds of measure("a") then measure("b") until plan.rounds were undisturbed, at most twice
    as many. Returns (figures, dropped, disturbed, the arms' values)."""
    good, bad = [], []
    while len(good) < plan.rounds and len(good) + len(bad) < 2 * plan.rounds:
        window = Window()
        arms = measure("a"), measure("b")
        (bad if window.stop() > MAX_FOREIGN else good).append(arms)
        if plan.quick and len(good) + len(bad) >= plan.rounds:
            break
    used = good or bad
    return [combine(*arms) for arms in used], len(bad) if good else 0, not good, used


def rates(used):
    """The arms' medians, to print beside a ratio."""
    first, second = (statistics.median(column) for column in zip(*used))
    return f"{first:,.0f}/s against {second:,.0f}/s"


def ratio_of(plan, id_, what, goal, measure):
    figures, dropped, disturbed, used = interleave(plan, measure)
    return Result(id_, what, figures, goal, dropped=dropped, disturbed=disturbed,
                  rates=rates(used))
