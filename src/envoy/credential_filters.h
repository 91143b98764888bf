// What of a destination's cluster attaches its credential.
//
// Gate:      the generic injector refuses a request when its secret is blank, which is how a
//            withdrawn value is not sent. What Envoy cannot blank in its own form (a
//            client certificate, the keys that sign) stands behind a gate: an injector of a secret
//            that is no secret, into a header that the hygiene filter after it takes away again.
//            Blank: nothing is sent.
// Order:     gate, hygiene, injector: the guest's own values are gone before ours is set, and the
//            gate's header is gone before anything leaves.
// Source:    docs/adr/0011-credential-files.md
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "envoy/json.h"
#include "policy/policy.h"

namespace exeat::envoy {

// The names of its secrets, as Envoy asks for them. A colon stands in no SNI, so none can be asked
// for as a leaf. kAwsSigv4: the first is the name of a filter.
std::string CredentialSecretName(const policy::Credential& credential);
std::string GateSecretName(const policy::Credential& credential);
// Of all that is published for it: by type URL.
struct Published {
  std::string_view type_url;
  std::string name;
};
std::vector<Published> PublishedFor(const policy::Credential& credential);

bool HasGate(const policy::Credential& credential);

// Whether AWS takes a signature for this service that leaves the body out, as it does where the
// body is too long to be held until it is whole. TLS protects it all the same.
bool SignsNoBody(const policy::Credential& credential);

// Before and after the hygiene filter.
std::vector<Json> FiltersBeforeHygiene(const policy::Credential& credential);
std::vector<Json> FiltersAfterHygiene(const policy::Credential& credential);

// What is presented in the TLS handshake, a list of SDS secrets; empty: nothing.
Json ClientCertificates(const policy::Credential* credential);

// Whether a cluster with these HTTP filters and this TLS context attaches anything, and if so,
// whether it refuses when that was withdrawn.
enum class Attaches { kNothing, kRevocably, kForEver };
Attaches WhatAttaches(const Json& http_filters, const Json& tls_context);

}  // namespace exeat::envoy
