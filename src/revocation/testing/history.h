// A recorded history of one session's checks, revokes and restores, and whether it is linearizable:
// whether each of them can have happened at one moment between its begin and its end.
//
// Shapes:   what is revoked of a session is a set of kinds; a check is allowed when it is empty.
//           A revoke denies from its begin, before it is acknowledged: what overlaps one may see it
//           or not, also twice. What nobody may see is an allow after one that was acknowledged.
// Units:    begins and ends count up from one counter that all threads share, each number once.
// Source:   Wing and Gong, Testing and Verifying Concurrent Objects (1993); Lowe, Testing for
//           linearizability (2017)
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "revocation/denylist.h"

namespace exeat::revocation {

struct Operation {
  enum class What { kCheck, kRevoke, kRestore };
  What what = What::kCheck;
  Kind kind = Kind::kSession;  // of a revoke or restore
  bool yes = false;            // the check was allowed; the restore found what it took back
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

class History {
 public:
  explicit History(std::vector<Operation> operations) : operations_(std::move(operations)) {
    std::erase_if(operations_, [this](const Operation& operation) {
      return operation.what == Operation::What::kCheck && !operation.yes &&
             OverlapsARevoke(operation);
    });
  }

  // nullopt when it is linearizable; else the end of the first operation that fits nowhere.
  std::optional<std::uint64_t> FirstMisfit() const {
    std::map<std::uint64_t, std::size_t> moments;
    for (std::size_t i = 0; i < operations_.size(); ++i) {
      moments[operations_[i].begin] = i;
      moments[operations_[i].end] = i;
    }
    std::set<std::size_t> running;
    std::set<World> worlds{World{}};
    for (const auto& [moment, index] : moments) {
      if (moment == operations_[index].begin) {
        running.insert(index);
        continue;
      }
      worlds = WorldsWith(index, running, worlds);
      if (worlds.empty()) return moment;
      running.erase(index);
    }
    return std::nullopt;
  }

 private:
  using Revoked = unsigned;  // a set of kinds
  // What may be the case: some of those that run have happened already.
  struct World {
    Revoked revoked = 0;
    std::set<std::size_t> happened;
    auto operator<=>(const World&) const = default;
  };

  static Revoked Bit(Kind kind) { return 1U << static_cast<unsigned>(kind); }

  bool OverlapsARevoke(const Operation& one, std::optional<Kind> kind = std::nullopt) const {
    return std::any_of(operations_.begin(), operations_.end(), [&](const Operation& other) {
      return other.what == Operation::What::kRevoke && other.begin < one.end &&
             one.begin < other.end && (!kind.has_value() || other.kind == *kind);
    });
  }

  // nullopt when the operation cannot have answered so.
  std::optional<Revoked> Apply(const Operation& operation, Revoked revoked) const {
    const Revoked bit = Bit(operation.kind);
    switch (operation.what) {
      case Operation::What::kCheck:
        if (operation.yes != (revoked == 0)) return std::nullopt;
        return revoked;
      case Operation::What::kRevoke:
        return revoked | bit;
      case Operation::What::kRestore:
        if (operation.yes != ((revoked & bit) != 0) && !OverlapsARevoke(operation, operation.kind))
          return std::nullopt;
        return operation.yes ? revoked & ~bit : revoked;
    }
    return std::nullopt;
  }

  // Every world that these can have become by now, `index` having happened.
  std::set<World> WorldsWith(std::size_t index, const std::set<std::size_t>& running,
                             const std::set<World>& worlds) const {
    std::set<World> result, seen = worlds;
    std::vector<World> open(worlds.begin(), worlds.end());
    while (!open.empty()) {
      World world = std::move(open.back());
      open.pop_back();
      if (world.happened.contains(index)) {
        world.happened.erase(index);
        result.insert(std::move(world));
        continue;
      }
      for (const std::size_t next : running) {
        if (world.happened.contains(next)) continue;
        const auto revoked = Apply(operations_[next], world.revoked);
        if (!revoked.has_value()) continue;
        World then = world;
        then.revoked = *revoked;
        then.happened.insert(next);
        if (seen.insert(then).second) open.push_back(std::move(then));
      }
    }
    return result;
  }

  std::vector<Operation> operations_;
};

}  // namespace exeat::revocation
