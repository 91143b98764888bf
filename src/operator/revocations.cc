#include "operator/revocations.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "fmt/format.h"
#include "operator/cut_record.h"
#include "operator/text.h"

namespace exeat::ops {
namespace {

using base::MakeStatus;
using base::StatusCode;

constexpr std::size_t kMaxReasonBytes = 1024;
constexpr std::chrono::milliseconds kOwnPatience{2000};
constexpr std::size_t kFramingBytes = 16;  // of one entry, and more than it takes
static_assert(kMaxAtOnce * (kMaxIdBytes + kFramingBytes) + kMaxReasonBytes <= kMaxRequestBytes);

const char* KindName(store::RevokedKind kind) {
  switch (kind) {
    case store::RevokedKind::kSession:
      return "session";
    case store::RevokedKind::kTokenId:
      return "token";
    case store::RevokedKind::kSubject:
      return "subject";
    case store::RevokedKind::kAll:
      return "everything";
  }
  return "unknown";
}

revocation::Entry AsEntry(store::RevokedKind kind, std::string_view id) {
  switch (kind) {
    case store::RevokedKind::kTokenId:
      return {revocation::Kind::kTokenId, id};
    case store::RevokedKind::kSubject:
      return {revocation::Kind::kSubject, id};
    case store::RevokedKind::kSession:
    case store::RevokedKind::kAll:
      break;
  }
  return {revocation::Kind::kSession, id};
}

base::Status CheckOne(const RevocationRequest& request) {
  if (request.reason.size() > kMaxReasonBytes) {
    return MakeStatus(StatusCode::kInvalidArgument,
                      fmt::format("the reason is longer than {} bytes", kMaxReasonBytes));
  }
  if (request.kind != store::RevokedKind::kAll) return CheckText(request.id, "the id", kMaxIdBytes);
  if (request.id.empty()) return absl::OkStatus();
  return MakeStatus(StatusCode::kInvalidArgument, "everything takes no id");
}

base::Status CheckEach(const std::vector<RevocationRequest>& requests) {
  if (requests.empty()) return MakeStatus(StatusCode::kInvalidArgument, "nothing was named");
  if (requests.size() > kMaxAtOnce) {
    return MakeStatus(StatusCode::kInvalidArgument,
                      fmt::format("{} entries are more than the {} that one request may name",
                                  requests.size(), kMaxAtOnce));
  }
  for (std::size_t i = 0; i < requests.size(); ++i) {
    base::Status status = CheckOne(requests[i]);
    if (status.ok()) continue;
    if (requests.size() == 1) return status;
    return base::Annotate(status, fmt::format("entry {}", i + 1));
  }
  return absl::OkStatus();
}

bool IsInForce(const revocation::Snapshot& denylist, store::RevokedKind kind, std::string_view id) {
  if (kind == store::RevokedKind::kAll) return denylist.everything();
  const revocation::Entry entry = AsEntry(kind, id);
  return denylist.Contains(entry.kind, entry.id);
}

// Whose streams these requests end. Their keys are sorted once, for many may be named.
limits::Whose StreamsOf(const std::vector<RevocationRequest>& requests) {
  std::vector<revocation::Key> keys;
  bool everything = false;
  for (const RevocationRequest& request : requests) {
    if (request.kind == store::RevokedKind::kAll) everything = true;
    if (request.kind != store::RevokedKind::kAll) {
      keys.push_back(revocation::KeyOf(AsEntry(request.kind, request.id)));
    }
  }
  std::sort(keys.begin(), keys.end());
  return [keys = std::move(keys), everything](const limits::OpenStream& stream) {
    const auto named = [&](revocation::Key key) {
      return std::binary_search(keys.begin(), keys.end(), key);
    };
    const revocation::Identity& identity = stream.claims->identity;
    return everything || named(identity.session) || named(identity.token) ||
           named(identity.subject);
  };
}

audit::Event EventOf(const char* activity, const RevocationRequest& request) {
  audit::Event event;
  event.kind = audit::EventKind::kSession;
  event.activity = activity;
  event.allowed = true;
  event.reason = request.reason;
  event.detail = KindName(request.kind);
  if (request.kind == store::RevokedKind::kSession) event.sid = request.id;
  if (request.kind == store::RevokedKind::kTokenId) event.jti = request.id;
  if (request.kind == store::RevokedKind::kSubject) event.sub = request.id;
  return event;
}

base::Status DeleteWhatIsStored(const std::vector<store::RevocationKey>& keys,
                                store::Store& store) {
  for (const store::RevocationKey& key : keys) {
    const base::Status deleted = store.DeleteRevocation(key.kind, key.id);
    if (!deleted.ok() && deleted.code() != StatusCode::kNotFound) return deleted;
  }
  return absl::OkStatus();
}

store::RevocationKey KeyOf(const RevocationRequest& request) { return {request.kind, request.id}; }

std::vector<store::RevocationKey> KeysOf(const std::vector<RevocationRequest>& requests) {
  std::vector<store::RevocationKey> keys;
  keys.reserve(requests.size());
  for (const RevocationRequest& request : requests) keys.push_back(KeyOf(request));
  return keys;
}

base::Status NotInForce(const RevocationRequest& request) {
  return MakeStatus(StatusCode::kNotFound,
                    fmt::format("no revocation of {} {} is in force; revocations of another kind "
                                "are restored by their own option",
                                KindName(request.kind), request.id));
}

}  // namespace

void RevocationDesk::Reading::Take(store::RevokedKind kind, const std::string& id) {
  if (kind == store::RevokedKind::kAll) {
    everything_ = true;
  } else {
    keys_.push_back(revocation::KeyOf(AsEntry(kind, id)));
  }
}

base::Status RevocationDesk::Load() {
  Reading reading;
  store::Rows rows;
  rows.revocation = [&](const store::RevocationRow& row) { reading.Take(row.kind, row.id); };
  const auto read = parts_.store_worker.Call([&]() -> base::StatusOr<store::Position> {
    return parts_.store.ReadAll(parts_.clock.UnixNow(), rows);
  });
  RETURN_IF_ERROR(read.status());
  PutAllInForce(std::move(reading), read->seq);
  return absl::OkStatus();
}

void RevocationDesk::PutAllInForce(Reading reading, std::uint64_t seq) {
  {
    base::MutexLock lock(mutex_);
    held_.Applied(seq);
    for (const store::RevocationKey& key : held_.keys()) reading.Take(key.kind, key.id);
    parts_.denylist.LoadKeys(reading.keys_, reading.everything_);
  }
  TellOfDenylist();
}

void RevocationDesk::TellOfDenylist() {
  parts_.metrics.SetDenylistEntries(parts_.denylist.Read().size());
  parts_.edge.DenylistChanged();
}

Revoked RevocationDesk::Replace(Reading reading, std::uint64_t seq) {
  PutAllInForce(std::move(reading), seq);
  Revoked revoked;
  revoked.first.kind = store::RevokedKind::kAll;
  revoked.first.reason = "everything was read again";
  revoked.cut =
      parts_.edge.CutStreams([denylist = parts_.denylist.Read()](const limits::OpenStream& stream) {
        return denylist.Check(stream.claims->identity) == revocation::Standing::kRevoked;
      });
  return revoked;
}

std::optional<Revoked> RevocationDesk::Follow(const std::vector<store::Change>& changes) {
  std::vector<RevocationRequest> put;  // since the last deletion
  std::vector<RevocationRequest> all;
  bool changed = false;
  {
    base::MutexLock lock(mutex_);
    for (const store::Change& change : changes) {
      if (const auto* added = std::get_if<store::RevocationPut>(&change.what)) {
        put.push_back({added->row.kind, added->row.id, added->row.reason});
        all.push_back(put.back());
      } else if (const auto* gone = std::get_if<store::RevocationDeleted>(&change.what)) {
        PutInForce(std::exchange(put, {}));
        if (held_.Deleted(gone->key, change.seq)) TakeOut(gone->key);
        changed = true;
      }
    }
    PutInForce(put);
    if (!changes.empty()) held_.Applied(changes.back().seq);
  }
  if (all.empty() && !changed) return std::nullopt;
  TellOfDenylist();
  if (all.empty()) return std::nullopt;
  Revoked revoked;
  revoked.first = all.front();
  revoked.cut = parts_.edge.CutStreams(StreamsOf(all));
  return revoked;
}

void RevocationDesk::DenyAndCut(const std::vector<RevocationRequest>& requests, Revoked& revoked) {
  {
    base::MutexLock lock(mutex_);
    PutInForce(requests);
  }
  parts_.edge.DenylistChanged();
  revoked.cut = parts_.edge.CutStreams(StreamsOf(requests));
}

void RevocationDesk::PutInForce(const std::vector<RevocationRequest>& requests) {
  std::vector<revocation::Entry> entries;
  for (const RevocationRequest& request : requests) {
    if (request.kind == store::RevokedKind::kAll) {
      parts_.denylist.SetEverything(true);
    } else {
      entries.push_back(AsEntry(request.kind, request.id));
    }
  }
  parts_.denylist.Add(entries);
}

void RevocationDesk::TakeOut(const store::RevocationKey& key) {
  if (key.kind == store::RevokedKind::kAll) {
    parts_.denylist.SetEverything(false);
  } else {
    parts_.denylist.Remove(AsEntry(key.kind, key.id));
  }
}

base::StatusOr<Revoked> RevocationDesk::RevokeAll(const std::vector<RevocationRequest>& requests) {
  RETURN_IF_ERROR(CheckEach(requests));
  const base::BootTime started = parts_.clock.BootNow();
  Revoked revoked;
  revoked.first = requests.front();
  if (parts_.sharing != nullptr) {
    base::MutexLock lock(mutex_);
    held_.Begin(KeysOf(requests));
  }
  DenyAndCut(requests, revoked);
  const base::StatusOr<std::uint64_t> stored =
      parts_.store_worker.Call([&] { return Store(requests, revoked); });
  if (parts_.sharing != nullptr) StoredOrNot(requests, stored);
  revoked.durable = revoked.everywhere = stored.ok();
  if (!stored.ok()) {
    revoked.problem = fmt::format(
        "in force on this edge, but not stored: {}; it is lost when the "
        "edge restarts: repair the store and revoke again",
        base::Message(stored.status()));
  }
  const base::Status recorded = Record("session_revoked", requests);
  if (stored.ok() && parts_.sharing != nullptr) AwaitEdges(*stored, revoked);
  parts_.metrics.SetDenylistEntries(parts_.denylist.Read().size());
  parts_.metrics.RevokeTook(parts_.clock.BootNow() - started);
  if (!recorded.ok() && revoked.everywhere) {
    revoked.problem = "in force and stored, but not recorded: " + base::Message(recorded);
  }
  AwaitVetted(revoked);
  return revoked;
}

void RevocationDesk::AwaitEdges(std::uint64_t seq, Revoked& revoked) {
  const base::StatusOr<Edges::Answer> answer = parts_.sharing->edges.Await(seq);
  revoked.everywhere = answer.ok();
  if (answer.ok()) {
    revoked.edges = *answer;
  } else {
    revoked.problem = fmt::format(
        "stored, and in force on this edge, but not known to be in force on every edge: {}; revoke "
        "again to know",
        base::Message(answer.status()));
  }
}

void RevocationDesk::AwaitVetted(Revoked& revoked) {
  if (revoked.cut->vetted() == 0) return;
  revoked.report = revoked.cut->Wait(kCutPatience);
  revoked.uncut = revoked.report->uncut;
  if (revoked.uncut == 0) return;
  revoked.problem = fmt::format(
      "{}{} open streams are not known to have ended, among them tunnels that are asked about "
      "once: in these requests may still be answered. Revoke again; see: exeat doctor",
      revoked.problem.empty() ? "" : revoked.problem + "; ", revoked.uncut);
}

store::RevocationRow RevocationDesk::RowOf(const RevocationRequest& request) {
  store::RevocationRow row;
  row.kind = request.kind;
  row.id = request.id;
  row.reason = request.reason;
  row.revoked_at = parts_.clock.UnixNow();
  const bool is_session = request.kind == store::RevokedKind::kSession;
  if (!is_session && request.kind != store::RevokedKind::kTokenId) return row;
  base::UnixSeconds last_token_ends = row.revoked_at + kLongestToken.count();
  // Another edge may be renewing the session at this moment.
  if (is_session && parts_.sharing == nullptr) {
    const base::StatusOr<store::SessionRow> session = parts_.store.FindSession(request.id);
    if (session.ok()) last_token_ends = session->expires_at + session::kMaxSkew.count();
  }
  row.expires_at = last_token_ends + options_.margin.count();
  return row;
}

base::StatusOr<std::uint64_t> RevocationDesk::Store(const std::vector<RevocationRequest>& requests,
                                                    Revoked& revoked) {
  std::vector<store::RevocationRow> rows;
  rows.reserve(requests.size());
  for (const RevocationRequest& request : requests) rows.push_back(RowOf(request));
  base::StatusOr<std::uint64_t> stored = parts_.store.PutRevocations(rows);
  // A restore of the same entry may have stood before this one in the queue, taken out what was put
  // in force at the start, and let streams open again.
  const revocation::Snapshot denylist = parts_.denylist.Read();
  const bool holds = std::all_of(requests.begin(), requests.end(), [&](const auto& request) {
    return IsInForce(denylist, request.kind, request.id);
  });
  if (!holds) DenyAndCut(requests, revoked);
  return stored;
}

void RevocationDesk::StoredOrNot(const std::vector<RevocationRequest>& requests,
                                 const base::StatusOr<std::uint64_t>& stored) {
  base::MutexLock lock(mutex_);
  bool gone = false;
  for (const RevocationRequest& request : requests) {
    const store::RevocationKey key = KeyOf(request);
    if (!stored.ok()) {
      held_.NotStored(key);
    } else if (held_.Stored(key, *stored)) {
      TakeOut(key);
      gone = true;
    }
  }
  if (gone) parts_.edge.DenylistChanged();
}

base::Status RevocationDesk::Record(const char* activity,
                                    const std::vector<RevocationRequest>& requests) const {
  for (const RevocationRequest& request : requests) {
    RETURN_IF_ERROR(parts_.recorder.Record(EventOf(activity, request)));
  }
  return absl::OkStatus();
}

CutReport RevocationDesk::AwaitCut(const Revoked& revoked) {
  const CutReport report = revoked.report ? *revoked.report : revoked.cut->Wait(kCutPatience);
  RecordCut(parts_.recorder, EventOf("streams_cut", revoked.first), report);
  return report;
}

base::Status RevocationDesk::RestoreAll(const std::vector<RevocationRequest>& requests) {
  RETURN_IF_ERROR(CheckEach(requests));
  ASSIGN_OR_RETURN(const std::uint64_t seq,
                   parts_.store_worker.Call([&] { return Unstore(requests); }));
  if (parts_.sharing != nullptr) {
    // Stored, so it comes true here as everywhere; the wait is for whoever tries at once.
    Sequence& sequence = parts_.sharing->sequence;
    if (seq != 0) (void)sequence.Await(seq, kOwnPatience);
    if (seq == 0) (void)sequence.AwaitReading(kOwnPatience);
    return absl::OkStatus();
  }
  TellOfDenylist();
  return absl::OkStatus();
}

// The caller is on the store's thread. In force without being stored is what a revoke leaves behind
// when the store failed it, and is taken back as well.
base::StatusOr<std::uint64_t> RevocationDesk::Unstore(
    const std::vector<RevocationRequest>& requests) {
  const revocation::Snapshot denylist = parts_.denylist.Read();
  for (const RevocationRequest& request : requests) {
    if (!IsInForce(denylist, request.kind, request.id)) return NotInForce(request);
  }
  RETURN_IF_ERROR(Record("session_restored", requests));
  const std::vector<store::RevocationKey> keys = KeysOf(requests);
  std::vector<store::RevocationKey> released;
  {
    base::MutexLock lock(mutex_);
    for (const store::RevocationKey& key : keys) {
      if (held_.Release(key)) released.push_back(key);
    }
  }
  const base::StatusOr<std::uint64_t> deleted = Delete(keys);
  base::MutexLock lock(mutex_);
  if (!deleted.ok()) {
    for (const store::RevocationKey& key : released) held_.Hold(key);
  } else if (parts_.sharing == nullptr) {
    for (const store::RevocationKey& key : keys) TakeOut(key);
  }
  RETURN_IF_ERROR(deleted.status());
  return released.empty() ? *deleted : 0;
}

base::StatusOr<std::uint64_t> RevocationDesk::Delete(
    const std::vector<store::RevocationKey>& keys) {
  base::StatusOr<std::uint64_t> deleted = parts_.store.DeleteRevocations(keys);
  if (deleted.status().code() != StatusCode::kNotFound) return deleted;
  RETURN_IF_ERROR(DeleteWhatIsStored(keys, parts_.store));
  return 0;
}

base::StatusOr<std::vector<store::RevocationRow>> RevocationDesk::List() {
  ASSIGN_OR_RETURN(std::vector<store::RevocationRow> rows,
                   parts_.store_worker.Call([this] { return parts_.store.ListRevocations(); }));
  const revocation::Snapshot denylist = parts_.denylist.Read();
  std::erase_if(rows, [&](const store::RevocationRow& row) {
    return !IsInForce(denylist, row.kind, row.id);
  });
  return rows;
}

base::Status RevocationDesk::CheckStanding(const store::SessionRow& row) const {
  using revocation::Kind;
  constexpr const char* kUndo = "is revoked; undo with: exeat session restore";
  const revocation::Snapshot denylist = parts_.denylist.Read();
  std::string found;
  switch (denylist.Check({row.sid, row.jti, row.sub})) {
    case revocation::Standing::kClear:
      return absl::OkStatus();
    case revocation::Standing::kNotLoaded:
      return MakeStatus(StatusCode::kUnavailable, "the denylist is not loaded yet; try again");
    case revocation::Standing::kRevoked:
      break;
  }
  if (denylist.everything()) {
    found = fmt::format("every session {} --all", kUndo);
  } else if (denylist.Contains(Kind::kSubject, row.sub)) {
    found = fmt::format("subject {0} {1} --sub {0}", row.sub, kUndo);
  } else if (denylist.Contains(Kind::kSession, row.sid)) {
    found = fmt::format("session {0} {1} {0}", row.sid, kUndo);
  } else {
    found = fmt::format("token {0} {1} --jti {0}", row.jti, kUndo);
  }
  return MakeStatus(StatusCode::kFailedPrecondition, found);
}

base::Status RevocationDesk::Prune(base::UnixSeconds cutoff) {
  ASSIGN_OR_RETURN(const std::vector<store::RevocationKey> ended, parts_.store.DeleteEnded(cutoff));
  if (parts_.sharing != nullptr) return absl::OkStatus();
  base::MutexLock lock(mutex_);
  for (const store::RevocationKey& key : ended) TakeOut(key);
  parts_.metrics.SetDenylistEntries(parts_.denylist.Read().size());
  return absl::OkStatus();
}

}  // namespace exeat::ops
