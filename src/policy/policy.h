// The policy: exeat.yaml as one validated, immutable value.
//
// Purpose:  every other room reads this and nothing reads YAML. A Policy that exists is coherent:
//           names are unique and canonical, every reference resolves, no emptiness widens access.
// Units:    as each name says; durations are std::chrono.
// Threads:  share as std::shared_ptr<const Policy>, made by Share where requests are judged by it.
// Source:   docs/policy.md, docs/schema/exeat-policy.schema.json
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "policy/ip_address.h"
#include "policy/path_rule.h"

namespace exeat::policy {

enum class Posture {
  kDenyAll,  // the edge is closed: every request is refused
  kBump,     // listed destinations are decrypted and judged
};

enum class CredentialKind {
  kHeader,    // the value stands in `header` as it is
  kBearer,    // Authorization: Bearer VALUE
  kBasic,     // Authorization: Basic base64(username:VALUE)
  kMtls,      // a client certificate in the TLS handshake, no header
  kAwsSigv4,  // an AWS signature of each request
};

struct Credential {
  std::string name;
  CredentialKind kind = CredentialKind::kBearer;
  std::string header = "authorization";  // lower case; empty: kMtls, which has none
  std::string username;                  // kBasic only
  std::string file;                      // absolute path of the watched source; kMtls: of the chain
  std::string key_file;                  // kMtls only; may be the same
  std::string service;                   // kAwsSigv4 only, as is the region
  std::string region;
  std::vector<std::string> hosts;  // canonical; allows more than one registrable domain
  int line = 0;                    // of the source in the file; not compared
  bool operator==(const Credential& other) const;
};

struct AllowRule {
  std::vector<std::string> methods;  // upper case; empty: every method but CONNECT, TRACE, TRACK
  std::optional<PathRule> path;      // nullopt: every path
  bool operator==(const AllowRule&) const = default;
};

struct RateLimit {
  std::uint32_t requests_per_minute = 0;  // > 0
  std::uint32_t burst = 0;                // > 0; equals requests_per_minute when the file is silent
  bool operator==(const RateLimit&) const = default;
};

// How often Check is asked about a destination.
enum class Authorize {
  kRequest,     // about each request
  kConnection,  // once a tunnel, at CONNECT; what is not plainly allowed is asked about all the
                // same
};

struct Destination {
  std::string name;
  std::string host;                             // canonical
  std::vector<std::uint16_t> ports;             // never empty; ascending
  std::string credential;                       // name, or empty: nothing is attached
  std::string grant;                            // empty: any live session
  std::optional<std::vector<AllowRule>> allow;  // nullopt: everything; never an empty list
  std::optional<RateLimit> limits;              // per session and destination
  Authorize authorize = Authorize::kRequest;
  int line = 0;  // in the file, for `why`; not compared
  bool operator==(const Destination& other) const;

  bool Serves(std::uint16_t port) const;
  // Whether a session that holds these grants may go there.
  bool IsOpenTo(const std::vector<std::string>& grants) const;
};

struct Listeners {
  std::optional<SocketAddress> proxy;
  std::optional<SocketAddress> transparent;
  bool operator==(const Listeners&) const = default;
};

struct Resolver {
  std::vector<SocketAddress> upstream;
  std::map<std::string, std::vector<IpAddress>> hosts;  // canonical name -> fixed answers
  std::vector<Cidr> allow_private;
  bool operator==(const Resolver&) const = default;
};

struct Sessions {
  std::chrono::seconds max_lifetime{3600};  // at most 60 minutes
  std::chrono::seconds skew{5};             // at most 60 seconds
  bool operator==(const Sessions&) const = default;
};

// How a revoke ends what is already running.
enum class CutBy {
  kAuto,               // at the socket, and where that is not permitted as kMaxStreamDuration
  kSocket,             // at the socket; where that is not permitted nothing opens
  kMaxStreamDuration,  // not at all: every stream ends by itself
};

struct Streams {
  CutBy cut = CutBy::kAuto;
  std::chrono::seconds max_duration{60};  // of a stream that cannot be cut; >= 1 s
  bool operator==(const Streams&) const = default;
};

struct ImportedCa {
  std::string certificate;  // absolute paths, PEM
  std::string key;
  int certificate_line = 0;  // in the file; not compared
  int key_line = 0;
  bool operator==(const ImportedCa& other) const;
};

struct Policy;
using PolicyPtr = std::shared_ptr<const Policy>;

// Where the entries of one Policy stand, so that looking one up does not search all of them.
// Only Share fills it, for a value that nobody changes any more. A copy may be changed, and so its
// directory is empty and its lookups search: no lookup can answer for what is not there.
class Directory {
 public:
  Directory() = default;
  Directory(const Directory&) {}
  Directory& operator=(const Directory&);
  bool filled() const { return filled_; }

 private:
  friend struct Policy;
  friend PolicyPtr Share(Policy policy);
  void Fill(const Policy& policy);

  // Calls `visit` with each destination that has this canonical host, in the order of the file,
  // until it returns true.
  template <typename Visit>
  void Each(const Policy& policy, std::string_view host, const Visit& visit) const;

  bool filled_ = false;
  std::unordered_map<std::string_view, std::vector<const Destination*>> hosts_;
  std::unordered_map<std::string_view, const Destination*> destinations_;
  std::unordered_map<std::string_view, const Credential*> credentials_;
};

// A PostgreSQL that edges share.
struct SharedStore {
  std::string url;            // holds no password
  std::string password_file;  // absolute, or empty
  int password_line = 0;      // in the file; not compared
  bool operator==(const SharedStore& other) const;
};

struct Policy {
  std::string deployment;
  std::string state_dir;  // absolute
  Listeners listeners;
  Posture posture = Posture::kDenyAll;
  Sessions sessions;
  Resolver resolver;
  Streams streams;
  std::string upstream_trust;  // absolute path, PEM bundle
  std::optional<ImportedCa> ca;
  std::vector<Credential> credentials;
  std::vector<Destination> destinations;
  std::optional<RateLimit> limits;          // per session
  std::string audit_dir;                    // absolute
  std::optional<SharedStore> shared_store;  // nullopt: SQLite in the state directory
  int upstream_trust_line = 0;              // in the file, 0 when it is silent
  Directory directory;

  // The first destination that serves this canonical host on this port, or nullptr.
  const Destination* Find(std::string_view host, std::uint16_t port) const;
  // Of those that do, the first that is open to a session with these grants: that one serves it.
  // When none is, as Find.
  const Destination* FindFor(std::string_view host, std::uint16_t port,
                             const std::vector<std::string>& grants) const;
  // Whether any destination has this canonical host, on whatever port.
  bool HasHost(std::string_view host) const;
  // All destinations that have this canonical host, in the order of the file.
  std::vector<const Destination*> At(std::string_view host) const;
  // Those of them that serve this port.
  std::vector<const Destination*> At(std::string_view host, std::uint16_t port) const;
  const Destination* FindDestination(std::string_view name) const;
  const Credential* FindCredential(std::string_view name) const;
};

// The policy as everybody reads it from now on, with its directory.
PolicyPtr Share(Policy policy);

}  // namespace exeat::policy
