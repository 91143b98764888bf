// Secrets: leaves, credentials, the trust bundle. Over SDS, but for the keys that sign.
//
// Never:     a value in `body`, an error or a version: versions are salted for each process, so
//            that a short credential cannot be guessed from one that a dump shows.
// Fail mode: an empty value is published blank, and Envoy then refuses each request that needs it.
//            Withdrawing the resource instead would leave the last value in force.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "credentials/material.h"
#include "envoy/resource.h"
#include "policy/policy.h"

namespace exeat::envoy {

// The secrets that the clusters with this credential ask for (credential_filters.h); of empty
// material the ones that make Envoy refuse. For kBasic, base64(username:value). kInvalidArgument
// when the value cannot stand in a header or is longer than a header may be.
base::StatusOr<std::vector<Resource>> BuildCredential(const policy::Credential& credential,
                                                      const credentials::Material& material);

// A certificate chain with its key: a leaf, named by the SNI it serves, or a client's.
base::StatusOr<Resource> BuildKeyPair(const std::string& name, std::string_view chain_pem,
                                      std::string_view key_pem);

// The trust bundle of every destination. kInvalidArgument when empty.
base::StatusOr<Resource> BuildUpstreamTrust(std::string_view trust_pem);

}  // namespace exeat::envoy
