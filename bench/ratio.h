// Two arms measured in turn, and what their ratio is.
//
// Shapes:   rounds of arm A then arm B; one ratio a round, A's rate over B's, so that a machine
// that
//           slows down slows both. Reported are the median and range of those ratios.
// Source:   docs/benchmarks.md
#pragma once

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "fmt/format.h"

namespace exeat::bench {

struct Plan {
  int rounds = 7;
  std::chrono::duration<double> arm{2.0};  // of each arm in each round
};

// --seconds S and --rounds N; ends the program with 2 on anything else.
inline Plan PlanFromArguments(int argc, char** argv) {
  Plan plan;
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    const double value = i + 1 < argc ? std::atof(argv[i + 1]) : 0;
    if (name == "--seconds" && value > 0) {
      plan.arm = std::chrono::duration<double>(value);
    } else if (name == "--rounds" && value >= 1) {
      plan.rounds = static_cast<int>(value);
    } else {
      std::fprintf(stderr, "usage: %s [--seconds S] [--rounds N]\n", argv[0]);
      std::exit(2);
    }
  }
  return plan;
}

// Calls a second of this thread's own processor time, so that other work on the machine counts
// against neither arm. An operation that fails ends the program: its time would mean nothing.
inline double RateOf(const std::function<bool()>& operation, std::chrono::duration<double> length) {
  const auto cpu_now = [] {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
  };
  constexpr std::uint64_t kBatch = 64;
  std::uint64_t calls = 0;
  const double start = cpu_now();
  double spent = 0;
  while (spent < length.count()) {
    for (std::uint64_t i = 0; i < kBatch; ++i) {
      if (!operation()) {
        std::fprintf(stderr, "an operation failed\n");
        std::exit(1);
      }
    }
    calls += kBatch;
    spent = cpu_now() - start;
  }
  return static_cast<double>(calls) / spent;
}

// Prints the ratio of a's rate to b's as one JSON line and both rates to standard error. False when
// the median misses the goal.
inline bool PrintRatio(const std::string& id, double goal, const Plan& plan,
                       const std::function<bool()>& a, const std::function<bool()>& b) {
  (void)RateOf(a, plan.arm / 10);  // warm-up
  (void)RateOf(b, plan.arm / 10);
  std::vector<double> ratios;
  std::vector<double> a_rates;
  std::vector<double> b_rates;
  for (int round = 0; round < plan.rounds; ++round) {
    a_rates.push_back(RateOf(a, plan.arm));
    b_rates.push_back(RateOf(b, plan.arm));
    ratios.push_back(a_rates.back() / b_rates.back());
  }
  const auto median = [](std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const std::size_t half = values.size() / 2;
    return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
  };
  const double ratio = median(ratios);
  const bool ok = ratio >= goal;
  fmt::print(stderr, "{}: {:.0f}/s against {:.0f}/s\n", id, median(a_rates), median(b_rates));
  fmt::print(
      "{{\"id\":\"{}\",\"ratio\":{:.3f},\"low\":{:.3f},\"high\":{:.3f},\"goal\":{:.2f},"
      "\"ok\":{}}}\n",
      id, ratio, *std::min_element(ratios.begin(), ratios.end()),
      *std::max_element(ratios.begin(), ratios.end()), goal, ok);
  return ok;
}

}  // namespace exeat::bench
