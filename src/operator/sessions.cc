#include "operator/sessions.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <set>
#include <utility>

#include "crypto/random.h"
#include "fmt/format.h"

namespace exeat::ops {
namespace {

using base::MakeStatus;
using base::StatusCode;

constexpr std::size_t kMaxIdBytes = 256;
constexpr std::size_t kMaxReasonBytes = 1024;
constexpr std::chrono::seconds kLongestSkew{60};
constexpr std::chrono::seconds kShownAfterEnd{3600};

// Printable ASCII: ids travel in JSON, headers and terminals.
base::Status CheckText(const std::string& text, const char* what, std::size_t max_bytes) {
  if (text.empty())
    return MakeStatus(StatusCode::kInvalidArgument, fmt::format("{} is empty", what));
  if (text.size() > max_bytes) {
    return MakeStatus(StatusCode::kInvalidArgument,
                      fmt::format("{} is longer than {} bytes", what, max_bytes));
  }
  for (const char c : text) {
    if (c < 0x20 || c > 0x7e) {
      return MakeStatus(StatusCode::kInvalidArgument,
                        fmt::format("{} holds a character that is not printable ASCII", what));
    }
  }
  return absl::OkStatus();
}

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

revocation::Entry AsEntry(store::RevokedKind kind, const std::string& id) {
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

base::Status CheckRevocation(const RevocationRequest& request) {
  if (request.reason.size() > kMaxReasonBytes) {
    return MakeStatus(StatusCode::kInvalidArgument,
                      fmt::format("the reason is longer than {} bytes", kMaxReasonBytes));
  }
  if (request.kind != store::RevokedKind::kAll) return CheckText(request.id, "the id", kMaxIdBytes);
  if (request.id.empty()) return absl::OkStatus();
  return MakeStatus(StatusCode::kInvalidArgument, "everything takes no id");
}

std::string GrantNames(const std::set<std::string>& known) {
  if (known.empty()) return "the policy names none";
  std::string names;
  for (const std::string& name : known) names += (names.empty() ? "" : ", ") + name;
  return "the policy names: " + names;
}

// What stands in the way, and the one command that takes it back.
std::string WhichRevocation(const revocation::Snapshot& denylist, const store::SessionRow& row) {
  using revocation::Kind;
  constexpr const char* kUndo = "is revoked; undo with: exeat session restore";
  if (denylist.everything()) return fmt::format("every session {} --all", kUndo);
  if (denylist.Contains(Kind::kSubject, row.sub)) {
    return fmt::format("subject {0} {1} --sub {0}", row.sub, kUndo);
  }
  if (denylist.Contains(Kind::kSession, row.sid)) {
    return fmt::format("session {0} {1} {0}", row.sid, kUndo);
  }
  return fmt::format("token {0} {1} --jti {0}", row.jti, kUndo);
}

audit::Event SessionEvent(const char* activity, const store::SessionRow& row) {
  audit::Event event;
  event.kind = audit::EventKind::kSession;
  event.activity = activity;
  event.allowed = true;
  event.sid = row.sid;
  event.jti = row.jti;
  event.sub = row.sub;
  return event;
}

audit::Event RevocationEvent(const char* activity, const RevocationRequest& request) {
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

}  // namespace

SessionDesk::SessionDesk(Parts parts, Options options) : parts_(parts), options_(options) {}

base::Status SessionDesk::Load() {
  struct Kept {
    std::vector<store::SessionRow> sessions;
    std::vector<store::RevocationRow> revocations;
  };
  const base::UnixSeconds now = parts_.clock.UnixNow();
  ASSIGN_OR_RETURN(const Kept kept, parts_.store_worker.Call([&]() -> base::StatusOr<Kept> {
    Kept read;
    ASSIGN_OR_RETURN(read.sessions, parts_.store.ListSessions(now));
    ASSIGN_OR_RETURN(read.revocations, parts_.store.ListRevocations());
    return read;
  }));
  std::vector<revocation::Entry> entries;
  bool everything = false;
  for (const store::RevocationRow& row : kept.revocations) {
    if (row.kind == store::RevokedKind::kAll) {
      everything = true;
    } else {
      entries.push_back(AsEntry(row.kind, row.id));
    }
  }
  {
    base::MutexLock lock(mutex_);
    live_.clear();
    for (const store::SessionRow& row : kept.sessions) live_[row.sid] = row.expires_at;
    parts_.metrics.SetLiveSessions(live_.size());
  }
  parts_.denylist.Load(entries, everything);
  parts_.metrics.SetDenylistEntries(parts_.denylist.Read().size());
  parts_.edge.DenylistChanged();
  return absl::OkStatus();
}

base::Status SessionDesk::CheckTtl(std::chrono::seconds ttl, const policy::Policy& policy) const {
  if (ttl < std::chrono::seconds(1)) {
    return MakeStatus(StatusCode::kInvalidArgument, "the lifetime must be at least 1s");
  }
  if (ttl > policy.sessions.max_lifetime) {
    return MakeStatus(StatusCode::kInvalidArgument,
                      fmt::format("the lifetime of {}s is longer than sessions.max_lifetime, {}s; "
                                  "ask for less and renew",
                                  ttl.count(), policy.sessions.max_lifetime.count()));
  }
  return absl::OkStatus();
}

base::Status SessionDesk::CheckRequest(const SessionRequest& request,
                                       const policy::Policy& policy) const {
  // What no token may say is refused before a row of it exists.
  if (!session::IsClaimText(request.sub)) {
    return MakeStatus(StatusCode::kInvalidArgument,
                      fmt::format("the subject must be 1 to {} visible ASCII characters, without "
                                  "spaces, quotes, backslash or comma",
                                  session::kMaxClaimBytes));
  }
  RETURN_IF_ERROR(CheckTtl(request.ttl, policy));
  std::set<std::string> known;
  for (const policy::Destination& destination : policy.destinations) {
    if (!destination.grant.empty()) known.insert(destination.grant);
  }
  for (const std::string& grant : request.grants) {
    if (known.count(grant) == 0) {
      return MakeStatus(
          StatusCode::kInvalidArgument,
          fmt::format("no destination asks for the grant \"{}\"; {}", grant, GrantNames(known)));
    }
  }
  return absl::OkStatus();
}

base::Status SessionDesk::CheckStanding(const store::SessionRow& row) const {
  const auto denylist = parts_.denylist.Read();
  switch (denylist.Check({row.sid, row.jti, row.sub})) {
    case revocation::Standing::kClear:
      return absl::OkStatus();
    case revocation::Standing::kRevoked:
      return MakeStatus(StatusCode::kFailedPrecondition, WhichRevocation(denylist, row));
    case revocation::Standing::kNotLoaded:
      break;
  }
  return MakeStatus(StatusCode::kUnavailable, "the denylist is not loaded yet; try again");
}

base::StatusOr<Minted> SessionDesk::Create(const SessionRequest& request) {
  const authz::Snapshot snapshot = parts_.edge.Current();
  if (snapshot.policy == nullptr) {
    return MakeStatus(StatusCode::kUnavailable, "no policy is in force yet; try again");
  }
  RETURN_IF_ERROR(CheckRequest(request, *snapshot.policy));
  store::SessionRow row;
  ASSIGN_OR_RETURN(row.sid, crypto::RandomId());
  ASSIGN_OR_RETURN(row.jti, crypto::RandomId());
  row.sub = request.sub;
  row.grants = request.grants;
  std::sort(row.grants.begin(), row.grants.end());
  row.grants.erase(std::unique(row.grants.begin(), row.grants.end()), row.grants.end());
  row.created_at = parts_.clock.UnixNow();
  row.expires_at = row.created_at + request.ttl.count();

  RETURN_IF_ERROR(Reserve(row.sid, row.expires_at));
  const base::Status stored = parts_.store_worker.Call([&]() -> base::Status {
    // On the store's thread, where a revoke that came before has already been seen.
    RETURN_IF_ERROR(CheckStanding(row));
    return parts_.store.InsertSession(row);
  });
  if (!stored.ok()) {
    Forget(row.sid);
    return stored;
  }
  return Mint(row, row.expires_at, "session_created");
}

base::StatusOr<Minted> SessionDesk::Renew(const std::string& sid, std::chrono::seconds ttl) {
  RETURN_IF_ERROR(CheckText(sid, "the session id", kMaxIdBytes));
  const authz::Snapshot snapshot = parts_.edge.Current();
  if (snapshot.policy == nullptr) {
    return MakeStatus(StatusCode::kUnavailable, "no policy is in force yet; try again");
  }
  RETURN_IF_ERROR(CheckTtl(ttl, *snapshot.policy));
  ASSIGN_OR_RETURN(const std::string jti, crypto::RandomId());
  const base::UnixSeconds now = parts_.clock.UnixNow();
  ASSIGN_OR_RETURN(const store::SessionRow row,
                   parts_.store_worker.Call([&]() -> base::StatusOr<store::SessionRow> {
                     ASSIGN_OR_RETURN(store::SessionRow renewed, parts_.store.FindSession(sid));
                     // An ended session's revocation may have been forgotten with it, so none comes
                     // back.
                     if (renewed.expires_at <= now) {
                       return MakeStatus(StatusCode::kFailedPrecondition,
                                         fmt::format("session {} has ended; open a new one", sid));
                     }
                     RETURN_IF_ERROR(CheckStanding(renewed));
                     renewed.jti = jti;
                     // Never earlier than what an earlier token was given: a revocation outlives
                     // them all.
                     renewed.expires_at = std::max(renewed.expires_at, now + ttl.count());
                     RETURN_IF_ERROR(parts_.store.UpdateSession(renewed));
                     return renewed;
                   }));
  {
    base::MutexLock lock(mutex_);
    live_[sid] = row.expires_at;
  }
  return Mint(row, now + ttl.count(), "session_renewed");
}

base::StatusOr<Minted> SessionDesk::Mint(const store::SessionRow& row, base::UnixSeconds expires_at,
                                         const char* activity) {
  const authz::Snapshot snapshot = parts_.edge.Current();
  session::Claims claims;
  claims.iss = snapshot.policy->deployment;
  claims.sub = row.sub;
  claims.sid = row.sid;
  claims.jti = row.jti;
  claims.iat = claims.nbf = parts_.clock.UnixNow();
  claims.exp = expires_at;
  claims.grants = row.grants;
  RETURN_IF_ERROR(Record(SessionEvent(activity, row)));
  const auto sign = [&]() -> base::StatusOr<std::string> {
    base::MutexLock turn(signing_turn_);
    return parts_.keys.Sign(claims);
  };
  ASSIGN_OR_RETURN(std::string token, sign());
  Minted minted{View(row), base::Secret(token), expires_at};
  base::Secret::Wipe(token);
  if (minted.token.Reveal().size() > session::kMaxTokenBytes) {
    return MakeStatus(StatusCode::kInvalidArgument,
                      fmt::format("the token would be longer than {} bytes; give fewer grants",
                                  session::kMaxTokenBytes));
  }
  return minted;
}

base::StatusOr<std::vector<SessionView>> SessionDesk::List() {
  const base::UnixSeconds now = parts_.clock.UnixNow();
  ASSIGN_OR_RETURN(std::vector<store::SessionRow> rows,
                   parts_.store_worker.Call([&] { return parts_.store.ListSessions(now); }));
  std::vector<SessionView> views;
  views.reserve(rows.size());
  for (store::SessionRow& row : rows) views.push_back(View(std::move(row)));
  return views;
}

base::StatusOr<SessionView> SessionDesk::Show(const std::string& sid) {
  RETURN_IF_ERROR(CheckText(sid, "the session id", kMaxIdBytes));
  ASSIGN_OR_RETURN(store::SessionRow row,
                   parts_.store_worker.Call([&] { return parts_.store.FindSession(sid); }));
  return View(std::move(row));
}

SessionView SessionDesk::View(store::SessionRow row) const {
  SessionView view;
  view.revoked =
      parts_.denylist.Read().Check({row.sid, row.jti, row.sub}) != revocation::Standing::kClear;
  view.ended = row.expires_at <= parts_.clock.UnixNow();
  view.row = std::move(row);
  return view;
}

void SessionDesk::PutInForce(const RevocationRequest& request) {
  if (request.kind == store::RevokedKind::kAll) {
    parts_.denylist.SetEverything(true);
  } else {
    parts_.denylist.Add(AsEntry(request.kind, request.id));
  }
}

base::StatusOr<Revoked> SessionDesk::Revoke(const RevocationRequest& request) {
  RETURN_IF_ERROR(CheckRevocation(request));
  const base::BootTime started = parts_.clock.BootNow();
  PutInForce(request);
  parts_.edge.DenylistChanged();

  Revoked revoked;
  const base::Status stored = parts_.store_worker.Call([&] { return StoreRevocation(request); });
  revoked.durable = stored.ok();
  if (!stored.ok()) {
    revoked.problem = fmt::format(
        "in force on this edge, but not stored: {}; it is lost when the "
        "edge restarts: repair the store and revoke again",
        base::Message(stored));
  }
  const base::Status recorded = Record(RevocationEvent("session_revoked", request));
  if (!recorded.ok() && stored.ok()) {
    revoked.problem = "in force and stored, but not recorded: " + base::Message(recorded);
  }
  parts_.metrics.SetDenylistEntries(parts_.denylist.Read().size());
  parts_.metrics.RevokeTook(parts_.clock.BootNow() - started);
  return revoked;
}

base::Status SessionDesk::StoreRevocation(const RevocationRequest& request) {
  store::RevocationRow row;
  row.kind = request.kind;
  row.id = request.id;
  row.reason = request.reason;
  row.revoked_at = parts_.clock.UnixNow();
  const bool bounded =
      request.kind == store::RevokedKind::kSession || request.kind == store::RevokedKind::kTokenId;
  if (bounded) {
    base::UnixSeconds last_token_ends = row.revoked_at + kLongestToken.count();
    if (request.kind == store::RevokedKind::kSession) {
      base::StatusOr<store::SessionRow> session = parts_.store.FindSession(request.id);
      if (session.ok()) last_token_ends = session->expires_at + kLongestSkew.count();
    }
    row.expires_at = last_token_ends + options_.margin.count();
  }
  RETURN_IF_ERROR(parts_.store.PutRevocation(row));
  // A restore of the same entry may have stood before this one in the queue and taken out what was
  // put in force at the start; what is stored and what is in force must not differ.
  PutInForce(request);
  return absl::OkStatus();
}

base::Status SessionDesk::Restore(const RevocationRequest& request) {
  RETURN_IF_ERROR(CheckRevocation(request));
  RETURN_IF_ERROR(Record(RevocationEvent("session_restored", request)));
  const base::Status restored = parts_.store_worker.Call([&]() -> base::Status {
    const base::Status deleted = parts_.store.DeleteRevocation(request.kind, request.id);
    // In force without being stored is what a revoke leaves behind when the store failed it.
    if (!deleted.ok() && deleted.code() != StatusCode::kNotFound) return deleted;
    bool was_in_force = false;
    if (request.kind == store::RevokedKind::kAll) {
      was_in_force = parts_.denylist.Read().everything();
      parts_.denylist.SetEverything(false);
    } else {
      was_in_force = parts_.denylist.Remove(AsEntry(request.kind, request.id));
    }
    if (was_in_force || deleted.ok()) return absl::OkStatus();
    return MakeStatus(StatusCode::kNotFound,
                      fmt::format("no revocation of {} {} is in force; revocations of another kind "
                                  "are restored by their own option",
                                  KindName(request.kind), request.id));
  });
  if (!restored.ok()) return restored;
  parts_.metrics.SetDenylistEntries(parts_.denylist.Read().size());
  parts_.edge.DenylistChanged();
  return absl::OkStatus();
}

base::Status SessionDesk::RotateSigningKey(bool withdraw) {
  audit::Event event;
  event.kind = audit::EventKind::kOperatorAction;
  event.activity = "key_rotated";
  event.detail =
      withdraw ? "earlier signing keys are withdrawn" : "earlier signing keys still verify";
  event.allowed = true;
  RETURN_IF_ERROR(Record(event));
  // No token is signed by the new key before Envoy knows it.
  base::MutexLock turn(signing_turn_);
  RETURN_IF_ERROR(parts_.keys.Rotate());
  // Known everywhere before anything is withdrawn, so that new tokens verify without a gap.
  RETURN_IF_ERROR(parts_.edge.PublishKeys());
  if (!withdraw) return absl::OkStatus();
  RETURN_IF_ERROR(parts_.keys.WithdrawRetired(std::numeric_limits<base::UnixSeconds>::max()));
  return parts_.edge.PublishKeys();
}

base::Status SessionDesk::Tidy() {
  const base::UnixSeconds now = parts_.clock.UnixNow();
  const base::UnixSeconds cutoff = now - kShownAfterEnd.count();
  const base::Status forgotten = parts_.store_worker.Call([&]() -> base::Status {
    ASSIGN_OR_RETURN(const std::vector<store::RevocationRow> rows, parts_.store.ListRevocations());
    RETURN_IF_ERROR(parts_.store.Prune(cutoff));
    for (const store::RevocationRow& row : rows) {
      const bool over = row.expires_at != 0 && row.expires_at < cutoff;
      if (over) parts_.denylist.Remove(AsEntry(row.kind, row.id));
    }
    return absl::OkStatus();
  });
  RETURN_IF_ERROR(forgotten);
  {
    base::MutexLock lock(mutex_);
    std::erase_if(live_, [now](const auto& entry) { return entry.second <= now; });
    parts_.metrics.SetLiveSessions(live_.size());
  }
  parts_.metrics.SetDenylistEntries(parts_.denylist.Read().size());
  const std::string before = parts_.keys.Jwks();
  RETURN_IF_ERROR(
      parts_.keys.WithdrawRetired(now - kLongestToken.count() - options_.margin.count()));
  return parts_.keys.Jwks() == before ? absl::OkStatus() : parts_.edge.PublishKeys();
}

base::Status SessionDesk::Reserve(const std::string& sid, base::UnixSeconds expires_at) {
  base::MutexLock lock(mutex_);
  if (live_.size() >= options_.max_live_sessions) {
    const base::UnixSeconds now = parts_.clock.UnixNow();
    std::erase_if(live_, [now](const auto& entry) { return entry.second <= now; });
  }
  if (live_.size() >= options_.max_live_sessions) {
    return MakeStatus(
        StatusCode::kResourceExhausted,
        fmt::format("{} sessions are live, the most this edge keeps; wait for some to "
                    "end or ask for shorter lifetimes",
                    options_.max_live_sessions));
  }
  live_[sid] = expires_at;
  parts_.metrics.SetLiveSessions(live_.size());
  return absl::OkStatus();
}

void SessionDesk::Forget(const std::string& sid) {
  base::MutexLock lock(mutex_);
  live_.erase(sid);
  parts_.metrics.SetLiveSessions(live_.size());
}

base::Status SessionDesk::Record(const audit::Event& event) {
  audit::Event stamped = event;
  stamped.policy_revision = parts_.edge.Current().policy_revision;
  const base::StatusOr<std::uint64_t> seq = parts_.audit.Append(stamped);
  if (seq.ok()) {
    parts_.metrics.Recorded();
    return absl::OkStatus();
  }
  parts_.metrics.NotRecorded();
  return base::Annotate(seq.status(), "audit");
}

std::size_t SessionDesk::live_sessions() const {
  base::MutexLock lock(mutex_);
  const base::UnixSeconds now = parts_.clock.UnixNow();
  return static_cast<std::size_t>(std::count_if(
      live_.begin(), live_.end(), [now](const auto& entry) { return entry.second > now; }));
}

}  // namespace exeat::ops
