// One clock for all that is measured, what was measured with it, and the end of a program whose
// figures would mean nothing.
//
// Units:    nanoseconds of CLOCK_MONOTONIC, which all processes share.
// Source:   docs/benchmarks.md
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace exeat::bench {

using Nanoseconds = std::int64_t;

inline Nanoseconds Now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

class Times {
 public:
  void Add(Nanoseconds took) { taken_.push_back(took); }
  std::size_t size() const { return taken_.size(); }
  std::int64_t MicrosecondsAt(double quantile) {
    std::sort(taken_.begin(), taken_.end());
    return taken_.at(static_cast<std::size_t>(quantile * static_cast<double>(taken_.size() - 1))) /
           1000;
  }

 private:
  std::vector<Nanoseconds> taken_;
};

[[noreturn]] inline void Fail(const std::string& problem) {
  std::fprintf(stderr, "%s\n", problem.c_str());
  std::_Exit(1);
}

inline void Must(bool holds, const std::string& problem) {
  if (!holds) Fail(problem);
}

}  // namespace exeat::bench
