#include "operator/sessions.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <set>
#include <utility>

#include "crypto/random.h"
#include "fmt/format.h"
#include "operator/text.h"

namespace exeat::ops {
namespace {

using base::MakeStatus;
using base::StatusCode;

constexpr std::chrono::seconds kShownAfterEnd{3600};

std::string GrantNames(const std::set<std::string>& known) {
  if (known.empty()) return "the policy names none";
  std::string names;
  for (const std::string& name : known) names += (names.empty() ? "" : ", ") + name;
  return "the policy names: " + names;
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

}  // namespace

SessionDesk::SessionDesk(Parts parts, Options options)
    : parts_(parts), options_(options), ended_by_(parts.clock) {}

base::Status SessionDesk::Load() {
  const base::UnixSeconds now = parts_.clock.UnixNow();
  ASSIGN_OR_RETURN(const std::vector<store::SessionRow> rows,
                   parts_.store_worker.Call([&] { return parts_.store.ListSessions(now); }));
  Ends live;
  for (const store::SessionRow& row : rows) live[row.sid] = row.expires_at;
  Replace(std::move(live));
  return absl::OkStatus();
}

void SessionDesk::Replace(Ends live) {
  base::MutexLock lock(mutex_);
  live_ = std::move(live);
  parts_.metrics.SetLiveSessions(live_.size());
}

void SessionDesk::Follow(const store::SessionPut& put) {
  base::MutexLock lock(mutex_);
  live_[put.sid] = put.expires_at;
  parts_.metrics.SetLiveSessions(live_.size());
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
    RETURN_IF_ERROR(parts_.revocations.CheckStanding(row));
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
                     RETURN_IF_ERROR(parts_.revocations.CheckStanding(renewed));
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
  RETURN_IF_ERROR(parts_.recorder.Record(SessionEvent(activity, row)));
  const auto sign = [&]() -> base::StatusOr<std::string> {
    base::MutexLock turn(signing_turn_);
    RETURN_IF_ERROR(ShareKeys());
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
  view.revoked = !parts_.revocations.CheckStanding(row).ok();
  view.ended = row.expires_at <= parts_.clock.UnixNow();
  view.row = std::move(row);
  return view;
}

base::Status SessionDesk::RotateSigningKey(bool withdraw) {
  audit::Event event;
  event.kind = audit::EventKind::kOperatorAction;
  event.activity = "key_rotated";
  event.detail =
      withdraw ? "earlier signing keys are withdrawn" : "earlier signing keys still verify";
  event.allowed = true;
  RETURN_IF_ERROR(parts_.recorder.Record(event));
  // No token is signed by the new key before Envoy knows it.
  base::MutexLock turn(signing_turn_);
  RETURN_IF_ERROR(parts_.keys.Rotate());
  // Known everywhere before anything is withdrawn, so that new tokens verify without a gap.
  RETURN_IF_ERROR(parts_.edge.PublishKeys());
  RETURN_IF_ERROR(ShareKeys());
  if (!withdraw) return absl::OkStatus();
  RETURN_IF_ERROR(parts_.keys.WithdrawRetired(std::numeric_limits<base::UnixSeconds>::max()));
  RETURN_IF_ERROR(parts_.edge.PublishKeys());
  return ShareKeys();
}

base::Status SessionDesk::Tidy() {
  const base::UnixSeconds now = ended_by_.UnixNow();
  {
    base::MutexLock lock(mutex_);
    std::erase_if(live_, [now](const auto& entry) { return entry.second <= now; });
    parts_.metrics.SetLiveSessions(live_.size());
  }
  return ended_by_.Age() < kShownAfterEnd ? absl::OkStatus() : ForgetEnded(now);
}

base::Status SessionDesk::ForgetEnded(base::UnixSeconds now) {
  const base::UnixSeconds cutoff = now - kShownAfterEnd.count();
  const base::Status forgotten =
      parts_.store_worker.Call([&] { return parts_.revocations.Prune(cutoff); });
  RETURN_IF_ERROR(forgotten);
  const std::string before = parts_.keys.Jwks();
  RETURN_IF_ERROR(
      parts_.keys.WithdrawRetired(now - kLongestToken.count() - options_.margin.count()));
  if (parts_.keys.Jwks() != before) RETURN_IF_ERROR(parts_.edge.PublishKeys());
  return ShareKeys();
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

std::size_t SessionDesk::live_sessions() const {
  base::MutexLock lock(mutex_);
  const base::UnixSeconds now = parts_.clock.UnixNow();
  return static_cast<std::size_t>(std::count_if(
      live_.begin(), live_.end(), [now](const auto& entry) { return entry.second > now; }));
}

}  // namespace exeat::ops
