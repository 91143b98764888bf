// Whether a certificate chain and a private key, both PEM, can be presented in a TLS handshake.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace exeat::crypto {

// The certificates in `chain`, and nothing else that stands there, when the first of them is of
// `key`, an unencrypted RSA key of at least 2048 bits or an EC key on P-256, P-384 or P-521, which
// is what Envoy takes. kAborted when both are well formed but do not belong together,
// as in the moment in which one of two files was replaced; else kInvalidArgument. No message holds
// a part of either.
base::StatusOr<std::string> ChainOfKey(std::string_view chain, std::string_view key);

}  // namespace exeat::crypto
