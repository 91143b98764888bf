// One request along the real path, and the name of the hop that failed.
//
// Hops:     proxy (it listens), connect (token, destination, grant), leaf (a certificate our CA
//           signed), decision (method, path), credential, upstream (address, TLS, an answer).
// Sends:    GET only, so that nothing changes at the upstream; where the rules allow no GET, the
//           walk ends at the decision and says so.
// Threads:  uses libcurl; call from one thread.
#pragma once

#include <string>
#include <vector>

namespace exeat::cli {

struct Hop {
  std::string name;
  bool ok = false;
  std::string detail;
  std::string remedy;  // empty when ok, or where the detail says it all
};

struct WalkRequest {
  std::string proxy_address;  // HOST:PORT
  std::string token;
  std::string ca_pem;
  std::string host;
  int port = 443;
  std::string path = "/";
  bool may_get = true;  // the destination's rules allow GET there
};

// The hops in order, ending at the first that failed.
std::vector<Hop> Walk(const WalkRequest& request);

// What came back, for Judge.
struct Answer {
  int curl_code = 0;
  std::string curl_error;
  bool tls_failed = false;  // the error is one of the certificate or the handshake
  long connect_status = 0;  // the proxy's answer to CONNECT; 0: none
  long status = 0;          // the answer inside; 0: none
  std::string deny_reason;  // of the last answer
};

// Pure: which hop an answer speaks of.
std::vector<Hop> Judge(const Answer& answer, bool may_get);

}  // namespace exeat::cli
