#include "operator/edges.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "fmt/format.h"

namespace exeat::ops {
namespace {

using base::MakeStatus;
using base::StatusCode;

constexpr std::chrono::milliseconds kFirstPause{2};
constexpr std::chrono::milliseconds kLongestPause{25};

}  // namespace

base::BootTime StandingStill::Saw(const store::EdgeLease& lease, base::BootTime now) {
  const auto [seen, is_new] = seen_.try_emplace(lease.edge, Seen{lease.renewals, now});
  if (seen->second.renewals != lease.renewals) seen->second = {lease.renewals, now};
  return now - seen->second.since;
}

base::StatusOr<Edges::Answer> Edges::Await(std::uint64_t seq) {
  const base::BootTime deadline = parts_.clock.BootNow() + options_.patience;
  StandingStill still;
  Answer answer;
  std::chrono::milliseconds pause = kFirstPause;
  while (true) {
    answer.in_force = 1;
    const base::StatusOr<std::string> waited = Look(seq, still, answer);
    if (waited.ok() && waited->empty()) return answer;
    if (parts_.clock.BootNow() >= deadline) {
      return MakeStatus(StatusCode::kDeadlineExceeded,
                        waited.ok()
                            ? fmt::format("the edge {} lives and has not put it in force", *waited)
                            : base::Message(waited.status()));
    }
    if (!stop_.Pause(pause)) return MakeStatus(StatusCode::kUnavailable, "this edge is ending");
    pause = std::min(pause * 2, kLongestPause);
  }
}

base::StatusOr<std::string> Edges::Look(std::uint64_t seq, StandingStill& still, Answer& answer) {
  ASSIGN_OR_RETURN(const std::vector<store::EdgeLease> live,
                   parts_.store_worker.Call([this] { return parts_.store.LiveEdges(); }));
  const base::BootTime now = parts_.clock.BootNow();
  std::string waited;
  for (const store::EdgeLease& lease : live) {
    if (lease.edge == options_.self) continue;
    if (lease.applied >= seq) {
      ++answer.in_force;
      continue;
    }
    if (still.Saw(lease, now) >= options_.over) {
      ASSIGN_OR_RETURN(const bool ended, parts_.store_worker.Call([&] {
        return parts_.store.EndLease(lease.edge, lease.renewals);
      }));
      if (ended) ++answer.ended;
      if (ended) continue;
    }
    waited = lease.edge;
  }
  return waited;
}

}  // namespace exeat::ops
