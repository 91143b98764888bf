// Owners for OpenSSL's objects. Only for sources of this room: no other may see OpenSSL's headers.
#pragma once

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

#include "base/status.h"

namespace exeat::crypto {

template <auto kFree>
struct OpenSslDeleter {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};

using BioPtr = std::unique_ptr<BIO, OpenSslDeleter<BIO_free_all>>;
using BnPtr = std::unique_ptr<BIGNUM, OpenSslDeleter<BN_clear_free>>;
using MdCtxPtr = std::unique_ptr<EVP_MD_CTX, OpenSslDeleter<EVP_MD_CTX_free>>;
using PkeyPtr = std::unique_ptr<EVP_PKEY, OpenSslDeleter<EVP_PKEY_free>>;
using PkeyCtxPtr = std::unique_ptr<EVP_PKEY_CTX, OpenSslDeleter<EVP_PKEY_CTX_free>>;
using X509Ptr = std::unique_ptr<X509, OpenSslDeleter<X509_free>>;

// `what` and the library's own reason, with the thread's error queue emptied. The reasons name
// functions and formats, never key material.
base::Status OpenSslStatus(base::StatusCode code, const std::string& what);

// A passphrase callback that never asks at the terminal, as the library's default would.
int NoPassphrase(char* buffer, int size, int writing, void* context);

}  // namespace exeat::crypto
