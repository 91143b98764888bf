// Any bytes in any field of a request: no crash, and nothing passes without the one token that
// verifies, on the one host that is listed.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "authz/decision.h"
#include "authz/testing/small_edge.h"
#include "policy/path_rule.h"

namespace {

// Cuts the next field, up to a 0xff byte, off the input.
std::string_view TakeField(std::string_view& input) {
  const std::size_t end = input.find('\xff');
  const std::string_view field = input.substr(0, end);
  input.remove_prefix(end == std::string_view::npos ? input.size() : end + 1);
  return field;
}

exeat::authz::Facts FactsFrom(std::string_view input) {
  exeat::authz::Facts facts;
  if (input.empty()) return facts;
  const auto head = static_cast<std::uint8_t>(input.front());
  input.remove_prefix(1);
  facts.leg = static_cast<exeat::authz::Leg>(head % 3);
  facts.duplicate_credentials = (head & 0x80) != 0;
  facts.only_key_places_repeat = (head & 0x40) != 0;
  for (std::string_view* field :
       {&facts.method, &facts.authority, &facts.path, &facts.sni, &facts.tunnel_target,
        &facts.tunnel_token, &facts.proxy_authorization, &facts.session_header,
        &facts.authorization, &facts.api_key, &facts.metadata_sid}) {
    *field = TakeField(input);
  }
  return facts;
}

void Require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const exeat::authz::SmallEdge edge;
  static const exeat::authz::Snapshot snapshot = edge.Read();
  const exeat::authz::Facts facts = FactsFrom({reinterpret_cast<const char*>(data), size});
  const exeat::authz::Verdict verdict = exeat::authz::Decide(facts, snapshot);
  if (!verdict.allowed) {
    Require(verdict.presented_token.empty());
    Require(exeat::authz::HttpStatus(verdict.reason) >= 400);
    return 0;
  }
  Require(verdict.claims != nullptr && verdict.destination != nullptr);
  if (facts.leg != exeat::authz::Leg::kConnect) {
    Require(facts.metadata_sid == verdict.claims->sid);
    Require(facts.sni == verdict.destination->host);
    const std::string_view path = exeat::policy::PathOnly(facts.path);
    Require(path.starts_with('/') && path.find("//") == std::string_view::npos);
  }
  return 0;
}
