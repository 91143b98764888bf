// One edge of several over one store, all in this process, with its desks and its follower.
#pragma once

#include <poll.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "audit/testing/fake_log.h"
#include "base/testing/fake_clock.h"
#include "operator/follower.h"
#include "operator/testing/desks.h"
#include "session/signing_keys.h"
#include "store/testing/private_directory.h"

namespace exeat::ops {

class OneOfEdges {
 public:
  OneOfEdges(std::string name, store::MemoryStore& shared, base::FakeClock& time)
      : name_(std::move(name)), store(shared), clock(time) {}
  ~OneOfEdges() { follower.Stop(); }

  bool Serves() const { return lease.Holds(clock.BootNow()); }
  bool Denies(const std::string& sid) const {
    return denylist.Read().Contains(revocation::Kind::kSession, sid);
  }

 private:
  const std::string name_;
  store::PrivateDirectory directory_;

 public:
  store::MemoryStore& store;
  base::FakeClock& clock;
  std::atomic<int> policies{0};
  std::atomic<int> key_changes{0};
  std::atomic<int> losses{0};
  revocation::Lease lease;
  revocation::Denylist denylist;
  FakeEdge edge{PolicyWithGrants(), denylist};
  audit::FakeLog audit;
  Metrics metrics;
  base::Worker worker{64};
  Recorder recorder{audit, metrics, [] { return std::uint64_t{1}; }};
  std::unique_ptr<session::SigningKeys> keys =
      session::SigningKeys::Open(directory_.path(), clock).value();
  Sequence sequence;
  Edges edges{{store, worker, clock}, {.self = name_}};
  SharedKeys shared_keys{{*keys, store, worker, edges, clock}};
  const Sharing sharing{edges, sequence, shared_keys};
  RevocationDesk revocations{{edge, denylist, store, worker, recorder, metrics, clock, &sharing},
                             {}};
  SessionDesk sessions{
      {edge, *keys, revocations, store, worker, recorder, metrics, clock, &sharing}, {}};
  Follower follower{{.self = name_,
                     .store = store,
                     .lease = lease,
                     .sequence = sequence,
                     .revocations = revocations,
                     .sessions = sessions,
                     .keys = shared_keys,
                     .clock = clock,
                     .keys_changed = [this] { ++key_changes; },
                     .policy_appended = [this] { ++policies; },
                     .lease_lost = [this] { ++losses; }}};
};

// Waits as long as it takes; a test that never gets there is ended from outside.
template <class Condition>
void Eventually(Condition condition) {
  while (!condition()) poll(nullptr, 0, 1);
}

}  // namespace exeat::ops
