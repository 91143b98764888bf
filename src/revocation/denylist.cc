#include "revocation/denylist.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstring>
#include <iterator>
#include <string>
#include <thread>
#include <utility>

#include "crypto/digest.h"
#include "crypto/random.h"

namespace exeat::revocation {
namespace {

constexpr std::size_t kMinDelta = 1024;
constexpr std::size_t kBasePerDelta = 64;
constexpr std::size_t kBackPressure = 8;
constexpr std::size_t kShortId = 127;

}  // namespace

// The kind stands in front, so that a subject named like a sid is another key.
Key KeyOf(Entry entry) {
  const auto [kind, id] = entry;
  std::array<char, kShortId + 1> shorter;
  std::string longer;
  std::string_view input;
  if (id.size() <= kShortId) {
    shorter[0] = static_cast<char>(kind);
    std::copy(id.begin(), id.end(), shorter.begin() + 1);
    input = std::string_view(shorter.data(), id.size() + 1);
  } else {
    longer.assign(1, static_cast<char>(kind)).append(id);
    input = longer;
  }
  const crypto::Sha256Digest digest = crypto::Sha256(input);
  Key key;
  static_assert(sizeof(key) == 16);
  std::memcpy(&key, digest.data(), sizeof(key));
  return key;
}

namespace {

// Without randomness the answers stay right; only crowding could be provoked.
Salt RandomSalt() {
  std::array<std::uint8_t, 16> bytes{};
  crypto::FillRandom(bytes).IgnoreError();
  Salt salt;
  std::memcpy(&salt.mask, bytes.data(), 8);
  std::memcpy(&salt.factor, bytes.data() + 8, 8);
  salt.factor |= 1;
  return salt;
}

// Sorted keys, replaced whole: cheaper to copy than a table, and short.
using Keys = std::vector<Key>;

bool Has(const Keys& keys, Key key) { return std::binary_search(keys.begin(), keys.end(), key); }

Keys Union(const Keys& keys, const Keys& others) {
  Keys out;
  out.reserve(keys.size() + others.size());
  std::set_union(keys.begin(), keys.end(), others.begin(), others.end(), std::back_inserter(out));
  return out;
}

Keys Minus(const Keys& keys, const Keys& others) {
  Keys out;
  out.reserve(keys.size());
  std::set_difference(keys.begin(), keys.end(), others.begin(), others.end(),
                      std::back_inserter(out));
  return out;
}

}  // namespace

// What a snapshot sees: (base - removed) + added. `added` holds no key of the base, `removed` only
// keys of it.
struct Snapshot::Body {
  bool loaded = false;
  bool everything = false;
  std::shared_ptr<const KeyTable> base;
  std::shared_ptr<const Keys> added;
  std::shared_ptr<const Keys> removed;

  bool Contains(Key key) const {
    if (Has(*added, key)) return true;
    return base->Contains(key) && !Has(*removed, key);
  }
  std::size_t size() const { return base->size() - removed->size() + added->size(); }
  std::size_t delta() const { return added->size() + removed->size(); }
};

Identity::Identity(std::string_view sid, std::string_view jti, std::string_view sub)
    : session(KeyOf({Kind::kSession, sid})),
      token(KeyOf({Kind::kTokenId, jti})),
      subject(KeyOf({Kind::kSubject, sub})) {}

Snapshot::Snapshot() = default;

Standing Snapshot::Check(const Identity& identity) const {
  if (body_ == nullptr || !body_->loaded) return Standing::kNotLoaded;
  if (body_->everything) return Standing::kRevoked;
  if (body_->size() == 0) return Standing::kClear;
  const bool revoked = body_->Contains(identity.session) || body_->Contains(identity.token) ||
                       body_->Contains(identity.subject);
  return revoked ? Standing::kRevoked : Standing::kClear;
}

bool Snapshot::Contains(Kind kind, std::string_view id) const {
  return body_ != nullptr && body_->Contains(KeyOf({kind, id}));
}

std::size_t Snapshot::size() const { return body_ == nullptr ? 0 : body_->size(); }

bool Snapshot::everything() const { return body_ != nullptr && body_->everything; }

std::size_t Snapshot::bytes() const {
  if (body_ == nullptr) return 0;
  return body_->base->bytes() +
         (body_->added->capacity() + body_->removed->capacity()) * sizeof(Key);
}

struct Denylist::State {
  using Body = Snapshot::Body;

  State() {
    Body empty;
    empty.base = std::make_shared<KeyTable>(0, salt);
    empty.added = empty.removed = std::make_shared<const Keys>();
    {
      base::MutexLock lock(mutex);
      Publish(std::move(empty));
    }
    merger = std::jthread([this] { MergeLoop(); });
  }

  ~State() {
    base::MutexLock lock(mutex);
    stopping = true;
    changed.NotifyAll();
  }

  void Publish(Body body) REQUIRES(mutex) {
    current = std::make_shared<const Body>(std::move(body));
    Snapshot snapshot;
    snapshot.body_ = current;
    published.Set(std::move(snapshot));
    changed.NotifyAll();
  }

  std::size_t Threshold() const REQUIRES(mutex) {
    return std::max(kMinDelta, current->base->size() / kBasePerDelta);
  }
  bool MergeDue() const REQUIRES(mutex) { return current->delta() >= Threshold(); }

  // Puts these, sorted and each once, on the list in one step.
  void List(const Keys& keys) REQUIRES(mutex) {
    while (current->delta() >= Threshold() * kBackPressure) changed.Wait(mutex);
    Keys news;
    std::copy_if(keys.begin(), keys.end(), std::back_inserter(news),
                 [&](const Key& key) REQUIRES(mutex) { return !current->base->Contains(key); });
    Body next = *current;
    next.added = std::make_shared<const Keys>(Union(*current->added, news));
    next.removed = std::make_shared<const Keys>(Minus(*current->removed, keys));
    Publish(std::move(next));
  }

  // False when it was not on the list.
  bool Unlist(Key key) REQUIRES(mutex) {
    while (current->delta() >= Threshold() * kBackPressure) changed.Wait(mutex);
    if (!current->Contains(key)) return false;
    Body next = *current;
    if (Has(*next.added, key)) {
      next.added = std::make_shared<const Keys>(Minus(*next.added, {key}));
    } else {
      next.removed = std::make_shared<const Keys>(Union(*next.removed, {key}));
    }
    Publish(std::move(next));
    return true;
  }

  void MergeLoop() {
    while (true) {
      std::shared_ptr<const Body> from;
      {
        base::MutexLock lock(mutex);
        while (!stopping && !MergeDue()) changed.Wait(mutex);
        if (stopping) return;
        from = current;
        merging = true;
      }
      auto merged = Merge(*from);
      base::MutexLock lock(mutex);
      merging = false;
      // After a Load in between the work is void.
      if (current->base == from->base) Publish(Rebase(*from, std::move(merged)));
      changed.NotifyAll();
    }
  }

  std::shared_ptr<const KeyTable> Merge(const Body& from) const {
    auto table = std::make_shared<KeyTable>(from.size(), salt);
    from.base->ForEach([&](Key key) {
      if (from.removed->empty() || !Has(*from.removed, key)) table->Insert(key);
    });
    for (const Key& key : *from.added) table->Insert(key);
    return table;
  }

  // The current list over the new base. They differ at most in keys that one of the two deltas
  // names.
  Body Rebase(const Body& from, std::shared_ptr<const KeyTable> merged) const REQUIRES(mutex) {
    Keys named;
    for (const auto& keys : {from.added, from.removed, current->added, current->removed}) {
      named.insert(named.end(), keys->begin(), keys->end());
    }
    std::sort(named.begin(), named.end());
    named.erase(std::unique(named.begin(), named.end()), named.end());
    Keys added, removed;
    for (const Key& key : named) {
      const bool listed = current->Contains(key);
      if (listed == merged->Contains(key)) continue;
      (listed ? added : removed).push_back(key);
    }
    Body body = *current;
    body.base = std::move(merged);
    body.added = std::make_shared<const Keys>(added.begin(), added.end());
    body.removed = std::make_shared<const Keys>(removed.begin(), removed.end());
    return body;
  }

  const Salt salt = RandomSalt();
  base::Mutex mutex;
  base::CondVar changed;
  bool stopping GUARDED_BY(mutex) = false;
  bool merging GUARDED_BY(mutex) = false;
  std::shared_ptr<const Body> current GUARDED_BY(mutex);
  base::Published<Snapshot> published;
  std::jthread merger;  // last: joined before the rest goes
};

Denylist::Denylist() : state_(std::make_unique<State>()) {}
Denylist::~Denylist() = default;

void Denylist::Load(const std::vector<Entry>& entries, bool everything) {
  std::vector<Key> keys;
  keys.reserve(entries.size());
  for (const Entry& entry : entries) keys.push_back(KeyOf(entry));
  LoadKeys(keys, everything);
}

void Denylist::LoadKeys(const std::vector<Key>& keys, bool everything) {
  Snapshot::Body body;
  body.loaded = true;
  body.everything = everything;
  auto table = std::make_shared<KeyTable>(keys.size(), state_->salt);
  for (const Key key : keys) table->Insert(key);
  body.base = std::move(table);
  body.added = body.removed = std::make_shared<const Keys>();
  base::MutexLock lock(state_->mutex);
  state_->Publish(std::move(body));
}

void Denylist::Add(const std::vector<Entry>& entries) {
  if (entries.empty()) return;
  Keys keys;
  keys.reserve(entries.size());
  for (const Entry& entry : entries) keys.push_back(KeyOf(entry));
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  base::MutexLock lock(state_->mutex);
  state_->List(keys);
}

bool Denylist::Remove(Entry entry) {
  const Key key = KeyOf(entry);
  base::MutexLock lock(state_->mutex);
  return state_->Unlist(key);
}

void Denylist::SetEverything(bool everything) {
  base::MutexLock lock(state_->mutex);
  Snapshot::Body body = *state_->current;
  body.everything = everything;
  state_->Publish(std::move(body));
}

Snapshot Denylist::Read() const { return state_->published.Get(); }

void Denylist::WaitForMerge() {
  base::MutexLock lock(state_->mutex);
  while (state_->merging || state_->MergeDue()) state_->changed.Wait(state_->mutex);
}

}  // namespace exeat::revocation
