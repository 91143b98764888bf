// The public keys that verify at every edge: this edge's own, and what the others share.
//
// Why here:   each edge signs with a key of its own, which never leaves it; only the public half
//             goes through the store.
// Order:      no token is signed by a key before every edge that may be serving knows it, and none
//             of a withdrawn key is taken anywhere once Share has returned.
// Errors:     Share: as the store's, and kDeadlineExceeded as Edges::Await: nothing is signed.
// Units:      times are UTC seconds.
// Threads:    safe concurrently.
// Source:     docs/adr/0014-shared-store.md, RFC 7517
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/worker.h"
#include "operator/edges.h"
#include "session/signing_keys.h"
#include "store/store.h"

namespace exeat::ops {

class SharedKeys {
 public:
  // All of it outlives this.
  struct Parts {
    const session::SigningKeys& own;
    store::Store& store;
    base::Worker& store_worker;
    Edges& edges;
    const base::Clock& clock;
  };
  explicit SharedKeys(Parts parts) : parts_(parts) {}

  // The document that verifies here.
  std::string Jwks() const;

  // Puts into the store what this edge signs with and takes out what it withdrew, and waits for the
  // other edges. Returns at once when there is nothing of it to do.
  base::Status Share();
  // Whether Share would return at once.
  bool IsShared() const;

  // What a follower tells; true when Jwks is another document than before. A key that no verifier
  // would take is left out.
  bool Replace(const std::vector<store::PublicKeyRow>& rows);
  bool Follow(const std::vector<store::Change>& changes);

 private:
  using Jwk = std::map<std::string, std::string>;  // kid -> JSON
  Jwk Own() const;
  void Put(const store::PublicKeyRow& row) REQUIRES(mutex_);
  // What is to be put and deleted at `now`.
  std::vector<store::PublicKeyRow> Due(const Jwk& own, base::UnixSeconds now) const
      REQUIRES(mutex_);
  std::vector<std::string> Withdrawn(const Jwk& own) const REQUIRES(mutex_);

  const Parts parts_;
  base::Mutex sharing_;  // one Share at a time
  mutable base::Mutex mutex_;
  std::map<std::string, store::PublicKeyRow> known_ GUARDED_BY(mutex_);  // as the store tells
  // The own ones that every edge knows, and until when the store keeps each.
  std::map<std::string, base::UnixSeconds> shared_ GUARDED_BY(mutex_);
};

}  // namespace exeat::ops
