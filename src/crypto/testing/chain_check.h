// What OpenSSL's own verifier, as TLS clients use it, says of a leaf.
#pragma once

#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <string>

#include "base/clock.h"
#include "crypto/openssl_ptr.h"

namespace exeat::crypto {

inline X509Ptr ReadX509(const std::string& pem) {
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return X509Ptr(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

// "ok", or the verifier's word for what is wrong with `leaf` as a server certificate for `host`
// under `ca` at `now`, with the strictest checks on.
inline std::string CheckChain(const std::string& leaf, const std::string& ca,
                              const std::string& host, base::UnixSeconds now) {
  using StorePtr = std::unique_ptr<X509_STORE, OpenSslDeleter<X509_STORE_free>>;
  using StoreCtxPtr = std::unique_ptr<X509_STORE_CTX, OpenSslDeleter<X509_STORE_CTX_free>>;
  const X509Ptr leaf_x509 = ReadX509(leaf);
  const X509Ptr ca_x509 = ReadX509(ca);
  if (leaf_x509 == nullptr || ca_x509 == nullptr) return "unreadable";
  const StorePtr store(X509_STORE_new());
  X509_STORE_add_cert(store.get(), ca_x509.get());
  const StoreCtxPtr context(X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), store.get(), leaf_x509.get(), nullptr);
  X509_VERIFY_PARAM* const param = X509_STORE_CTX_get0_param(context.get());
  X509_STORE_CTX_set_default(context.get(), "ssl_server");
  X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE);
  X509_VERIFY_PARAM_set_time(param, now);
  X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_WILDCARDS);
  X509_VERIFY_PARAM_set1_host(param, host.data(), host.size());
  if (X509_verify_cert(context.get()) == 1) return "ok";
  return X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()));
}

}  // namespace exeat::crypto
