// Secrets over SDS: leaves, injected credentials, the trust bundle.
//
// Never:     a value in `body`, an error or a version: versions are salted for each process, so
//            that a short credential cannot be guessed from one that a dump shows.
// Fail mode: an empty value is published blank, and Envoy then refuses each request that needs it.
//            Withdrawing the resource instead would leave the last value in force.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "envoy/resource.h"
#include "policy/policy.h"

namespace exeat::envoy {

// The secret's name. A colon stands in no SNI, so no credential can be asked for as a leaf.
std::string CredentialSecretName(std::string_view credential);

// The secret that the destination clusters' injector asks for. For
// kBasic, base64(username:value). kInvalidArgument when the value cannot stand in a header or is
// longer than a header may be; trailing newlines are the caller's to remove.
base::StatusOr<Resource> BuildCredential(const policy::Credential& credential,
                                         std::string_view value);

// A server certificate with its key, named by the SNI it serves.
base::StatusOr<Resource> BuildLeafSecret(const std::string& name, std::string_view chain_pem,
                                         std::string_view key_pem);

// The trust bundle of every destination. kInvalidArgument when empty.
base::StatusOr<Resource> BuildUpstreamTrust(std::string_view trust_pem);

}  // namespace exeat::envoy
