#include "envoy/asked_once.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "envoy/guard_reading.h"
#include "envoy/names.h"

namespace exeat::envoy {
namespace {

constexpr char kDelegate[] = "envoy.extensions.common.matching.v3.ExtensionWithMatcher";
constexpr char kPerRoute[] = "envoy.extensions.common.matching.v3.ExtensionWithMatcherPerRoute";
constexpr char kHeaderInput[] = "envoy.type.matcher.v3.HttpRequestHeaderMatchInput";
constexpr char kSkip[] = "envoy.extensions.filters.common.matcher.action.v3.SkipFilter";

// Check writes HOST:PORT and an absent state reads "-", so this vets nothing.
constexpr char kNothing[] = "nothing";
// What Envoy has normalised and no origin reads as another path: no escape, no parameter, no
// segment that begins with a dot.
constexpr char kPlainPath[] =
    R"(/([A-Za-z0-9_~!$&'()*+,:@=-][A-Za-z0-9._~!$&'()*+,:@=-]*/)*)"
    R"(([A-Za-z0-9_~!$&'()*+,:@=-][A-Za-z0-9._~!$&'()*+,:@=-]*)?(\?[!-~]*)?)";
constexpr char kOrdinaryMethods[] = "GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS";

Json Single(Json input, Json match) {
  return {{"single_predicate", {{"input", std::move(input)}, {"value_match", std::move(match)}}}};
}

Json Header(const char* name, Json match) {
  return Single(Extension(name, kHeaderInput, Json::object({{"header_name", name}})),
                std::move(match));
}

Json Regex(std::string_view regex) {
  return {{"safe_regex", {{"google_re2", Json::object()}, {"regex", regex}}}};
}

// Envoy wants two or more in a list.
Json ListOf(const char* kind, std::vector<Json> predicates) {
  if (predicates.size() == 1) return std::move(predicates.front());
  return {{kind, Json::object({{"predicate", std::move(predicates)}})}};
}
Json All(std::vector<Json> predicates) { return ListOf("and_matcher", std::move(predicates)); }
Json Any(std::vector<Json> predicates) { return ListOf("or_matcher", std::move(predicates)); }

Json VettedIs(std::string_view destination) { return Header(kVettedHeader, Exact(destination)); }
Json SniIs(std::string_view host) { return Header(kSniHeader, Exact(host)); }
Json NoSecondToken() {
  return Json::object({{"not_matcher", Header(kSessionHeader, Regex(".*"))}});
}
Json PathIsPlain() { return Header(":path", Regex(kPlainPath)); }

Json MethodIs(const policy::AllowRule& rule) {
  const std::string methods = fmt::format("{}", fmt::join(rule.methods, "|"));
  return Header(":method", Regex(methods.empty() ? kOrdinaryMethods : methods));
}

// The query is not looked at.
Json PathIs(const policy::PathRule& path) {
  if (path.is_prefix()) return Header(":path", Json::object({{"prefix", path.text()}}));
  return Any({Header(":path", Exact(path.text())),
              Header(":path", Json::object({{"prefix", std::string(path.text()) + "?"}}))});
}

Json Permits(const policy::AllowRule& rule) {
  std::vector<Json> parts = {MethodIs(rule)};
  if (rule.path.has_value()) parts.push_back(PathIs(*rule.path));
  return All(std::move(parts));
}

Json SkipWhen(Json predicate) {
  const Json skip = {{"action", Extension("skip", kSkip)}};
  return {
      {"matcher_list",
       {{"matchers", Json::array({{{"predicate", std::move(predicate)}, {"on_match", skip}}})}}}};
}

// Of a virtual host's matcher with any other input Envoy makes none, and then skips always.
bool LooksAtHeadersOnly(const Json& matcher) {
  bool only = true;
  Visit(matcher, [&](const Json& node) {
    if (node.is_object() && node.contains("input")) {
      only &= HasType(At(node, {"input", "typed_config"}), kHeaderInput);
    }
  });
  return only;
}

bool Contains(const Json& predicates, const Json& one) {
  return std::find(predicates.begin(), predicates.end(), one) != predicates.end();
}

}  // namespace

std::string VettedFor(const policy::Destination& destination, std::uint16_t port) {
  return fmt::format("{}:{}", destination.host, port);
}

Json AskedUnlessVetted(Json ext_authz) {
  const std::string name = ext_authz.at("name");
  return Extension(
      name, kDelegate,
      {{"extension_config", std::move(ext_authz)}, {"xds_matcher", SkipWhen(VettedIs(kNothing))}});
}

Json SkipVetted(const policy::Destination& destination, std::uint16_t port) {
  std::vector<Json> rules;
  for (const policy::AllowRule& rule :
       destination.allow.value_or(std::vector<policy::AllowRule>(1))) {
    rules.push_back(Permits(rule));
  }
  if (rules.empty()) rules.push_back(VettedIs(kNothing));  // an empty list permits nothing
  return Typed(kPerRoute, {{"xds_matcher", SkipWhen(All({VettedIs(VettedFor(destination, port)),
                                                         SniIs(destination.host), NoSecondToken(),
                                                         PathIsPlain(), Any(std::move(rules))}))}});
}

const Json& ExtAuthzInside(const Json& filter_config) {
  static const Json& missing = *new Json();
  const Json& inside = Member(filter_config, "extension_config");
  if (!HasType(filter_config, kDelegate) || filter_config.size() != 3 ||
      Member(filter_config, "xds_matcher") != SkipWhen(VettedIs(kNothing))) {
    return missing;
  }
  return Member(inside, "typed_config");
}

bool IsBoundSkip(const Json& per_route, const Json& domains) {
  const Json& matcher = Member(per_route, "xds_matcher");
  const Json& matchers = At(matcher, {"matcher_list", "matchers"});
  if (!HasType(per_route, kPerRoute) || per_route.size() != 2 || matcher.size() != 1 ||
      matchers.size() != 1 || !LooksAtHeadersOnly(matcher)) {
    return false;
  }
  const Json& predicates = At(matchers.front(), {"predicate", "and_matcher", "predicate"});
  for (const Json& domain : domains) {
    if (!domain.is_string()) continue;
    const std::string name = domain.get<std::string>();
    if (Contains(predicates, VettedIs(name)) &&
        Contains(predicates, SniIs(name.substr(0, name.rfind(':'))))) {
      return Contains(predicates, NoSecondToken()) && Contains(predicates, PathIsPlain());
    }
  }
  return false;
}

}  // namespace exeat::envoy
