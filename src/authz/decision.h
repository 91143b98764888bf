// Decides one request from its facts and one immutable snapshot.
//
// Why here:   pure, so every rule is testable without gRPC, Envoy or a database.
// Units:      now in UTC seconds.
// Fail mode:  a default-constructed Verdict denies with authz_unavailable.
// Threads:    Decide is a pure function; a Snapshot is immutable.
// Source:     docs/walkthroughs/request.md, docs/denials.md
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "authz/reason.h"
#include "base/clock.h"
#include "policy/policy.h"
#include "revocation/denylist.h"
#include "session/verifier.h"

namespace exeat::authz {

enum class Leg { kConnect, kTunnel, kTransparent };

// What is known of one request. Views into the caller's buffers; nothing here is trusted but `leg`
// and `sni`, which Envoy's own configuration and handshake set.
struct Facts {
  Leg leg = Leg::kConnect;
  std::string_view method;
  std::string_view authority;      // CONNECT target or Host / :authority
  std::string_view path;           // empty on CONNECT
  std::string_view sni;            // empty on CONNECT
  std::string_view tunnel_target;  // the CONNECT target that carried this request; kTunnel only
  std::string_view tunnel_token;   // kTunnel: the token verified at CONNECT, carried inward
  std::string_view proxy_authorization;  // kConnect, whole header value
  std::string_view session_header;       // x-exeat-session
  std::string_view authorization;        // whole header value
  std::string_view api_key;              // x-api-key
  bool duplicate_credentials = false;    // a token place occurs more than once
  // Narrows duplicate_credentials: only authorization or x-api-key do, which are ignored where the
  // tunnel or x-exeat-session names the session.
  bool only_key_places_repeat = false;
  std::string_view metadata_sid;  // what jwt_authn verified; empty on CONNECT
  base::UnixSeconds now = 0;
};

// One consistent view of everything a decision needs.
struct Snapshot {
  policy::PolicyPtr policy;
  std::uint64_t policy_revision = 0;
  revocation::Snapshot denylist;
  std::shared_ptr<const session::Verifier> verifier;
  // Credentials that cannot be attached now (blank, missing, withdrawn).
  std::vector<std::string> unavailable_credentials;
  // Hosts whose every address lies in the deny-set.
  std::vector<std::string> denied_hosts;
  // False while a restriction pushed to Envoy is not acknowledged, or audit cannot record.
  bool restrictions_in_force = false;
};

struct Verdict {
  bool allowed = false;
  Reason reason = Reason::kAuthzUnavailable;              // meaningless when allowed
  std::shared_ptr<const session::VerifiedClaims> claims;  // set once a token was verified
  // Points into Snapshot::policy; set once host and port were found, also on a later denial.
  const policy::Destination* destination = nullptr;
  // Of that destination: permitted this request's method and path. Null on CONNECT, and where the
  // destination has none.
  const policy::AllowRule* rule = nullptr;
  // kConnect, allowed: for this tunnel's destination Check need not be asked about each request.
  bool vetted = false;
  std::string presented_token;  // kConnect, allowed: what to hand to jwt_authn as Bearer. Wipe it.
};

Verdict Decide(const Facts& facts, const Snapshot& snapshot);

// What `why` asks: the same rules for a session's claims (null: no token), without a token. Asks as
// a guest of the proxy would: first for the CONNECT, then, unless that is all, for the request in
// it.
struct Question {
  std::shared_ptr<const session::VerifiedClaims> claims;
  std::string_view method;
  std::string_view host;
  std::uint16_t port = 443;
  std::string_view path;
};
Verdict Explain(const Question& question, const Snapshot& snapshot);

}  // namespace exeat::authz
