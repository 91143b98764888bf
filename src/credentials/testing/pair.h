// A certificate and its key, for tests.
#pragma once

#include <string>

#include "crypto/certificate.h"
#include "crypto/key.h"
#include "crypto/pem.h"

namespace exeat::credentials::testing {

struct Pair {
  std::string certificate;  // PEM
  std::string key;          // PEM
};

inline Pair MakePair() {
  const crypto::PrivateKey key = *crypto::PrivateKey::Generate();
  const std::string der = *crypto::MakeCaCertificate(
      key, {.common_name = "client", .not_before = 1'700'000'000, .not_after = 4'000'000'000});
  return {crypto::PemEncode(crypto::kCertificateLabel, der), std::string(key.ToPem()->Reveal())};
}

}  // namespace exeat::credentials::testing
