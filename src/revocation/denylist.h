// The denylist the decision path reads: which sessions, token ids and subjects are revoked.
//
// Shapes:   keys are SHA-256 of kind and id cut to 16 bytes, in an open-addressing table: at most
//           40 bytes an entry at 10^6. A snapshot is immutable; an update of one entry goes into a
//           small delta and does not copy the base.
// Fail mode: a Denylist that was never loaded denies everything (kNotLoaded).
// Threads:  Snapshot reads are safe concurrently and wait for nothing but the copy of a pointer; a
//           Denylist's writers take turns. When the delta has grown to 1/64 of the base (at least
//           1024), a thread of the Denylist builds a new base beside the old one, some 20 ms at
//           10^6; a writer waits for it only when the delta is eight times that.
// Source:   docs/adr/0007-denylist.md
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "revocation/key_table.h"

namespace exeat::revocation {

enum class Kind : std::uint8_t { kSession = 1, kTokenId = 2, kSubject = 3 };

enum class Standing {
  kNotLoaded,  // the default: nothing is known, so deny
  kRevoked,
  kClear,
};

struct Entry {
  Kind kind = Kind::kSession;
  std::string_view id;
};

// The key of an entry: what stands in the list in its place.
Key KeyOf(Entry entry);

// The three keys under which one token can be on the list, worked out once and kept beside its
// verified claims: hashing them anew is a third of what a decision costs.
struct Identity {
  Identity(std::string_view sid, std::string_view jti, std::string_view sub);
  Key session, token, subject;
};

// An immutable view; cheap to copy.
class Snapshot {
 public:
  Snapshot();  // kNotLoaded for every question
  // kRevoked when any of the three, or everything, is on the list.
  Standing Check(const Identity& identity) const;
  bool Contains(Kind kind, std::string_view id) const;
  std::size_t size() const;
  bool everything() const;
  // Memory of table and delta.
  std::size_t bytes() const;

 private:
  friend class Denylist;
  struct Body;
  std::shared_ptr<const Body> body_;
};

class Denylist {
 public:
  Denylist();
  ~Denylist();
  // Replaces all, as at start. From here on the list counts as loaded.
  void LoadKeys(const std::vector<Key>& keys, bool everything);
  void Load(const std::vector<Entry>& entries, bool everything);
  void Add(const std::vector<Entry>& entries);
  void Add(Entry entry) { Add(std::vector<Entry>{entry}); }
  // False when it was not there.
  bool Remove(Entry entry);
  void SetEverything(bool everything);
  Snapshot Read() const;
  // Waits until no merge of the delta is due or running.
  void WaitForMerge();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace exeat::revocation
