#include "crypto/openssl_ptr.h"

#include <openssl/err.h>

namespace exeat::crypto {

base::Status OpenSslStatus(base::StatusCode code, const std::string& what) {
  const unsigned long error = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = error == 0 ? nullptr : ERR_reason_error_string(error);
  return base::MakeStatus(code, reason == nullptr ? what : what + ": " + reason);
}

int NoPassphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*context*/) { return -1; }

}  // namespace exeat::crypto
