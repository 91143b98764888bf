#include "policy/starter.h"

namespace exeat::policy {
namespace {

constexpr std::string_view kStarter =
    R"yaml(# The policy of one exeat edge. What is not listed here is refused.
#
#   exeat policy check exeat.yaml     names every mistake with its line
#   exeat up                          runs the edge in the foreground
#
# Every key is explained in docs/policy.md.
version: 1

# Names this edge in tokens, audit records and metrics.
deployment: my-edge

# Keys, sessions and audit records of this edge; made with mode 0700. Relative to this file.
state: ./state

# Where guests come in. `proxy` is for HTTPS_PROXY; `transparent` for TLS that the network redirects
# here, routed by its server name.
listeners:
  proxy: 127.0.0.1:3128
  # transparent: 127.0.0.1:3129

# bump: decrypt and judge what is listed. deny-all: refuse everything.
posture: bump

# A session's token lives at most this long; `exeat session renew` gives a new one.
sessions:
  max_lifetime: 60m

# The edge resolves names itself and never connects to private addresses. Put your own name servers
# here. For an origin on a private network open exactly its range with allow_private.
resolver:
  upstream: [1.1.1.1:53, 9.9.9.9:53]
  # hosts: {git.corp.example: [10.20.0.7]}
  # allow_private: [10.20.0.7/32]

# Secrets that the edge attaches on the way out and no guest ever holds. Each file holds the value
# alone, readable by nobody else (chmod 600); replace it by rename and the new value is used at
# once.
# credentials:
# - {name: anthropic, kind: header, header: x-api-key, source: {file: ./secrets/anthropic}}
# - {name: openai, kind: bearer, source: {file: ./secrets/openai}}
# - {name: git, kind: basic, username: x-access-token, source: {file: ./secrets/git}}

# Where sessions may go. `grant` asks for a session that holds it (exeat run --grant NAME); `allow`
# narrows methods and paths, and without it both are free.
destinations:
- name: example
  host: example.com
  allow:
  - {methods: [GET, HEAD], path: /**}
# - name: anthropic
#   host: api.anthropic.com
#   credential: anthropic
#   grant: anthropic
#   allow:
#   - {methods: [POST], path: /v1/messages}
#   limits: {requests_per_minute: 60}

# What one session may ask for in all.
limits: {requests_per_minute: 600, burst: 60}
)yaml";

}  // namespace

std::string_view StarterPolicy() { return kStarter; }

}  // namespace exeat::policy
