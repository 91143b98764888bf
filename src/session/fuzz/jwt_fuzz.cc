// Feeds bytes to everything that reads a token or a key set before any signature is known good.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "session/claims_json.h"
#include "session/jwk_set.h"
#include "session/jws.h"
#include "session/verifier.h"

namespace {

constexpr std::string_view kJwks = R"({"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","kid":"k1",)"
                                   R"("x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",)"
                                   R"("y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]})";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace exeat::session;
  static const JwkSet keys = *JwkSet::Parse(kJwks);
  static const auto verifier = *Verifier::Make({"acme"}, kJwks);
  const std::string_view input(reinterpret_cast<const char*>(bytes), size);
  (void)VerifyCompactJws(input, keys);
  (void)JwkSet::Parse(input);
  (void)ClaimsFromJson(input);
  // Nobody has the private key, so no input may ever be a good token.
  if (verifier->Verify(input, 1'800'000'000).ok()) std::abort();
  return 0;
}
