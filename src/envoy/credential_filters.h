// What of a destination's cluster attaches its credential.
//
// Gate:      the generic injector refuses a request when its secret is blank, which is how a
//            withdrawn value is not sent. What Envoy cannot blank in its own form, a client
//            certificate, stands behind a gate: an injector of a secret that is no secret, into a
//            header that the hygiene filter after it takes away again. Blank: nothing is sent.
// Order:     gate, hygiene, injector: the guest's own values are gone before ours is set, and the
//            gate's header is gone before anything leaves.
// Source:    docs/adr/0011-credential-files.md
#pragma once

#include <string>
#include <vector>

#include "envoy/json.h"
#include "policy/policy.h"

namespace exeat::envoy {

// The names of its secrets, as Envoy asks for them. A colon stands in no SNI, so none can be asked
// for as a leaf.
std::string CredentialSecretName(const policy::Credential& credential);
std::string GateSecretName(const policy::Credential& credential);
// Of all that are published for it.
std::vector<std::string> SecretNames(const policy::Credential& credential);

bool HasGate(const policy::Credential& credential);

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
