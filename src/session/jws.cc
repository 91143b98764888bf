#include "session/jws.h"

#include "base/encoding.h"
#include "session/strict_json.h"
#include "session/verifier.h"

namespace exeat::session {
namespace {

using Json = nlohmann::json;

struct Header {
  std::string kid;
  std::string typ;
};

std::optional<Header> ReadHeader(std::string_view encoded) {
  const auto text = base::Base64UrlDecode(encoded);
  if (!text.has_value()) return std::nullopt;
  const auto header = ParseStrictObject(*text);
  if (!header.has_value()) return std::nullopt;
  for (const char* refused :
       {"jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "crit", "b64", "zip", "enc"}) {
    if (header->contains(refused)) return std::nullopt;
  }
  const auto alg = header->find("alg");
  if (alg == header->end() || !alg->is_string() || *alg != "ES256") return std::nullopt;
  const auto kid = header->find("kid");
  if (kid == header->end() || !kid->is_string()) return std::nullopt;
  Header out{kid->get<std::string>(), {}};
  if (const auto typ = header->find("typ"); typ != header->end()) {
    if (!typ->is_string()) return std::nullopt;
    out.typ = typ->get<std::string>();
  }
  return out;
}

}  // namespace

std::optional<VerifiedJws> VerifyCompactJws(std::string_view token, const JwkSet& keys) {
  if (token.size() > kMaxTokenBytes) return std::nullopt;
  const std::size_t first = token.find('.');
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t second = token.find('.', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  // A third dot stays in the signature and fails there: it is no base64url character.
  const auto signature = base::Base64UrlDecode(token.substr(second + 1));
  if (!signature.has_value()) return std::nullopt;
  auto payload = base::Base64UrlDecode(token.substr(first + 1, second - first - 1));
  if (!payload.has_value()) return std::nullopt;
  auto header = ReadHeader(token.substr(0, first));
  if (!header.has_value()) return std::nullopt;
  const crypto::PublicKey* const key = keys.Find(header->kid);
  if (key == nullptr || !key->VerifyRaw(token.substr(0, second), *signature)) return std::nullopt;
  return VerifiedJws{*std::move(payload), std::move(header->typ)};
}

}  // namespace exeat::session
