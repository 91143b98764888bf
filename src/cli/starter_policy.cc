#include "cli/starter_policy.h"

namespace exeat::cli {

std::string StarterPolicy(const std::string& name_servers) {
  return R"(# What this edge lets out. Whatever is not written here is refused.
# Check it with: exeat policy check    Change it while it runs with: exeat policy apply
version: 1
deployment: my-edge            # names the issuer of tokens, and stands in audit and metrics
state: ./state                 # keys, sessions and audit; made with mode 0700

listeners:
  proxy: 127.0.0.1:3128        # guests use this as HTTPS_PROXY
  transparent: 127.0.0.1:3129  # redirected TLS, routed by its server name

posture: bump                  # deny-all closes the edge at once

sessions:
  max_lifetime: 60m            # of one token; a session is renewed with: exeat session renew

resolver:
  upstream: [)" +
         name_servers + R"(]
# allow_private: [10.1.2.3/32] # opens exact private addresses; all others stay closed

# The real keys. Guests never see them; the edge attaches them after all checks.
# A file must belong to you and have mode 0600; replacing it by rename rotates the key.
#
# credentials:
# - {name: anthropic, kind: header, header: x-api-key, source: {file: /run/secrets/anthropic}}

destinations:
- {name: example, host: example.com, allow: [{methods: [GET, HEAD], path: "/**"}]}
# With a grant, only sessions opened with `--grant anthropic` may go there.
# - {name: anthropic, host: api.anthropic.com, credential: anthropic, grant: anthropic,
#    allow: [{methods: [POST], path: /v1/messages}], limits: {requests_per_minute: 60}}

limits: {requests_per_minute: 600, burst: 60}   # for each session

audit: {dir: ./state/audit}

upstream_trust: /etc/ssl/certs/ca-certificates.crt
)";
}

}  // namespace exeat::cli
