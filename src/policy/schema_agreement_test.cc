// Keeps docs/schema/exeat-policy.schema.json, the loader and docs/policy.md in agreement.
#include <fstream>
#include <functional>
#include <set>
#include <sstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "policy/document.h"
#include "policy/known_keys.h"
#include "policy/load.h"
#include "policy/starter.h"
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#include "valijson/adapters/nlohmann_json_adapter.hpp"
#include "valijson/schema.hpp"
#include "valijson/schema_parser.hpp"
#include "valijson/validator.hpp"
#pragma GCC diagnostic pop

namespace exeat::policy {
namespace {

using nlohmann::json;

std::string ReadWhole(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path << ": the tests run in the top directory of the source";
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

const json& SchemaJson() {
  static const json schema = json::parse(ReadWhole("docs/schema/exeat-policy.schema.json"));
  return schema;
}

bool SchemaTakes(const json& document) {
  static const valijson::Schema* schema = [] {
    auto* parsed = new valijson::Schema;
    valijson::SchemaParser(valijson::SchemaParser::kDraft7)
        .populateSchema(valijson::adapters::NlohmannJsonAdapter(SchemaJson()), *parsed);
    return parsed;
  }();
  valijson::Validator validator;
  return validator.validate(*schema, valijson::adapters::NlohmannJsonAdapter(document), nullptr);
}

LoadResult LoadText(std::string_view text) { return Load(text, "exeat.yaml", "/etc/exeat"); }

std::string FirstMistake(const LoadResult& result) {
  return result.mistakes.empty() ? "no mistake" : result.mistakes[0].ToString();
}

// What an editor's YAML reader makes of our tree.
json ToJson(const Node& node) {
  json value;
  switch (node.kind) {
    case Node::Kind::kNull:
      break;
    case Node::Kind::kScalar:
      value = node.scalar;
      if (node.plain) {
        const json read = json::parse(node.scalar, nullptr, false);
        if (read.is_number() || read.is_boolean()) value = read;
      }
      break;
    case Node::Kind::kList:
      value = json::array();
      for (const Node& child : node.children) value.push_back(ToJson(child));
      break;
    case Node::Kind::kMap:
      value = json::object();
      for (std::size_t i = 0; i < node.keys.size(); ++i) {
        value[node.keys[i]] = ToJson(node.children[i]);
      }
  }
  return value;
}

json YamlToJson(std::string_view text) {
  const auto parsed = ParseDocument(text);
  const auto* root = std::get_if<Node>(&parsed);
  EXPECT_NE(root, nullptr);
  return root == nullptr ? json() : ToJson(*root);
}

const json& WholeDocument() {
  static const json whole = json::parse(R"({
    "version": 1, "deployment": "acme-dev", "state": "./state",
    "listeners": {"proxy": "127.0.0.1:3128", "transparent": "[::1]:3129"},
    "posture": "bump",
    "sessions": {"max_lifetime": "15m", "skew": "5s"},
    "resolver": {"upstream": ["192.0.2.53:53"], "hosts": {"origin.example": ["127.0.0.1", "::1"]},
                 "allow_private": ["127.0.0.0/8", "fd00::/8"]},
    "upstream_trust": "/etc/ssl/certs/ca-certificates.crt",
    "ca": {"certificate": "ca.crt", "key": "ca.key"},
    "credentials": [
      {"name": "h", "kind": "header", "header": "x-api-key", "source": {"file": "secrets/h"}},
      {"name": "b", "kind": "bearer", "source": {"file": "secrets/b"}, "hosts": ["api.b.example"]},
      {"name": "u", "kind": "basic", "username": "me", "source": {"file": "secrets/u"}},
      {"name": "m", "kind": "mtls", "source": {"certificate": "m.crt", "key": "m.key"}},
      {"name": "s", "kind": "aws_sigv4", "service": "s3", "region": "eu-west-1",
       "source": {"file": "aws"}}],
    "destinations": [
      {"name": "a", "host": "api.a.example", "ports": [443, 8443], "credential": "h", "grant": "g",
       "allow": [{"methods": ["POST"], "path": "/v1/**"}, {"path": "/health"}],
       "limits": {"requests_per_minute": 60, "burst": 5}, "mode": "bump", "authorize": "request"},
      {"name": "b", "host": "api.b.example", "credential": "b", "authorize": "connection"},
      {"name": "origin", "host": "origin.example", "credential": "u"}],
    "limits": {"requests_per_minute": 600},
    "audit": {"dir": "/var/log/exeat"}, "store": "sqlite", "ratelimit": "local",
    "streams": {"cut": "auto", "max_duration": "60s"}})");
  return whole;
}

// Fails when the loader takes what the schema refuses. True when the schema refused.
bool ExpectAgreement(const json& document) {
  const bool schema_takes = SchemaTakes(document);
  const LoadResult loaded = LoadText(document.dump());
  EXPECT_TRUE(schema_takes || !loaded.ok()) << "only the loader takes " << document.dump(1);
  return !schema_takes;
}

TEST(Schema, TakesTheWholeDocumentAsTheLoaderDoes) {
  EXPECT_TRUE(SchemaTakes(WholeDocument()));
  EXPECT_TRUE(LoadText(WholeDocument().dump()).ok())
      << FirstMistake(LoadText(WholeDocument().dump()));
}

TEST(Schema, TakesWhatTheLoaderTakes) {
  const json minimal =
      json::parse(R"({"version": 1, "deployment": "d", "listeners": {"proxy": "127.0.0.1:0"}})");
  const std::pair<const char*, const char*> additions[] = {
      {"/state", R"("deep/er/./state")"},
      {"/posture", R"("deny-all")"},
      {"/listeners/transparent", R"("0.0.0.0:3129")"},
      {"/sessions", "{}"},
      {"/sessions", R"({"max_lifetime": "1h"})"},
      {"/sessions", R"({"skew": "0s"})"},
      {"/resolver", "{}"},
      {"/resolver", R"({"hosts": {}, "allow_private": []})"},
      {"/resolver", R"({"hosts": {"B\u00fccher.example.": ["::ffff:10.0.0.1"]}})"},
      {"/resolver", R"({"allow_private": ["10.1.2.3", "2001:DB8::/32"]})"},
      {"/credentials", "[]"},
      {"/destinations", "[]"},
      {"/credentials", R"([{"name": "0", "kind": "basic", "username": " ", "source":
                            {"file": "/dev/null"}}])"},
      {"/credentials", R"([{"name": "a.b_c-d", "kind": "header", "header": "!#$%&'*+-.^_`|~09az",
                            "source": {"file": " x"}}])"},
      {"/limits", R"({"requests_per_minute": 1000000, "burst": 1})"},
      {"/audit", "{}"},
      {"/streams", "{}"},
      {"/streams", R"({"cut": "socket"})"},
      {"/streams", R"({"cut": "max_stream_duration", "max_duration": "1h"})"},
  };
  for (const auto& [pointer, value] : additions) {
    json document = minimal;
    document[json::json_pointer(pointer)] = json::parse(value);
    EXPECT_TRUE(LoadText(document.dump()).ok())
        << pointer << value << FirstMistake(LoadText(document.dump()));
    EXPECT_TRUE(SchemaTakes(document)) << pointer << value;
  }
}

TEST(Schema, RefusesWhatTheLoaderRefusesByShape) {
  const std::pair<const char*, const char*> changes[] = {
      {"/version", "2"},
      {"/version", "\"1\""},
      {"/deployment", "\"Upper\""},
      {"/deployment", "\"a_b\""},
      {"/deployment", "7"},
      {"/posture", "\"passthrough\""},
      {"/posture", "null"},
      {"/listeners", "{}"},
      {"/listeners/proxy", "\"localhost:3128\""},
      {"/listeners/storage", "\"unix:./s\""},
      {"/operator", R"({"address": "127.0.0.1:3120"})"},
      {"/sessions/max_lifetime", "900"},
      {"/sessions/max_lifetime", "\"1d\""},
      {"/sessions/issuers", "[]"},
      {"/resolver/upstream", "[]"},
      {"/resolver/upstream/0", "\"192.0.2.53\""},
      {"/resolver/hosts/origin.example", "[]"},
      {"/resolver/allow_private/0", "\"private\""},
      {"/ca", R"({"key": "k"})"},
      {"/streams/cut", "\"ext_proc\""},
      {"/streams/cut", "\"never\""},
      {"/streams", R"({"cut": "socket", "max_duration": "60s"})"},
      {"/streams/max_duration", "60"},
      {"/credentials/0/kind", "\"mtls\""},
      {"/credentials/0/kind", "\"gcp\""},
      {"/credentials/1/source/key", "\"k\""},
      {"/credentials/1/service", "\"s3\""},
      {"/credentials/4/region", "\"EU\""},
      {"/credentials/4/header", "\"x-key\""},
      {"/credentials/3/kind", "\"bearer\""},
      {"/credentials/3/header", "\"x-api-key\""},
      {"/credentials/3/source", R"({"certificate": "m.crt"})"},
      {"/credentials/3/source/file", "\"f\""},
      {"/credentials/0/header", "\"X-Api-Key\""},
      {"/credentials/1/header", "\"x-api-key\""},
      {"/credentials/2/username", "\"a:b\""},
      {"/credentials/1/source", "\"secret\""},
      {"/credentials/1/source/sds", "{}"},
      {"/credentials/1/hosts", "[]"},
      {"/destinations/0/host", "\"*.a.example\""},
      {"/destinations/0/host", "\"a.example:443\""},
      {"/destinations/0/host", "\"https://a.example\""},
      {"/destinations/0/ports", "[]"},
      {"/destinations/0/ports", "[443, 443]"},
      {"/destinations/0/ports/0", "0"},
      {"/destinations/0/ports/0", "65536"},
      {"/destinations/0/allow", "[]"},
      {"/destinations/0/allow/0", "{}"},
      {"/destinations/0/allow/0/methods", "[]"},
      {"/destinations/0/allow/0/methods/0", "\"TRACE\""},
      {"/destinations/0/allow/0/methods/0", "\"post\""},
      {"/destinations/0/allow/0/path", "\"v1\""},
      {"/destinations/0/allow/0/path", "\"/v1?x\""},
      {"/destinations/0/limits", "{\"burst\": 1}"},
      {"/destinations/0/limits/concurrent", "1"},
      {"/destinations/0/mode", "\"passthrough\""},
      {"/destinations/0/authorize", "\"tunnel\""},
      {"/destinations/0/anonymous", "true"},
      {"/limits/requests_per_minute", "0"},
      {"/limits/bytes_out_per_hour", "\"1GiB\""},
      {"/audit/durability", "\"batch\""},
      {"/store", "\"mysql://u@db/d\""},
      {"/store", "{}"},
      {"/store", "{\"url\": \"sqlite\"}"},
      {"/store", "{\"url\": \"postgresql://u@db/d\", \"password\": \"x\"}"},
      {"/ratelimit", "\"grpc://limits\""},
      {"/tripwire", "{}"},
      {"/unknown", "1"},
  };
  for (const auto& [pointer, value] : changes) {
    json document = WholeDocument();
    document[json::json_pointer(pointer)] = json::parse(value);
    EXPECT_TRUE(ExpectAgreement(document)) << "the schema takes " << pointer << " " << value;
    EXPECT_FALSE(LoadText(document.dump()).ok()) << pointer << " " << value;
  }
}

// Every place of the whole document, each time with another wrong thing in it.
TEST(Schema, NeverRefusesMoreThanTheLoaderUnderAnyMutation) {
  const json replacements[] = {nullptr, true,          0,     -1,    443,          1.5,
                               "",      "x",           "443", "~/x", "a b",        "10.0.0.1",
                               "::1",   "127.0.0.1:1", "5s",  "/v1", "A.Example.", json::array(),
                               "local", json::object()};
  int refused = 0;
  const json flat = WholeDocument().flatten();
  std::set<std::string> pointers;
  for (const auto& [leaf, value] : flat.items()) {
    for (json::json_pointer at(leaf); !at.empty(); at = at.parent_pointer()) {
      pointers.insert(at.to_string());
    }
  }
  for (const std::string& text : pointers) {
    const json::json_pointer at(text);
    for (const json& replacement : replacements) {
      json document = WholeDocument();
      document[at] = replacement;
      refused += ExpectAgreement(document) ? 1 : 0;
    }
    json without = WholeDocument();
    json& parent = without[at.parent_pointer()];
    if (parent.is_object()) {
      parent.erase(at.back());
    } else {
      parent.erase(std::stoul(at.back()));
    }
    refused += ExpectAgreement(without) ? 1 : 0;
    json with_more = WholeDocument();
    if (with_more[at].is_object()) {
      with_more[at]["unheard_of"] = 1;
      refused += ExpectAgreement(with_more) ? 1 : 0;
    }
  }
  EXPECT_GT(refused, 500);  // else the schema says too little for this test to mean anything
}

// Calls `visit` with the name of each mapping, as known_keys.h spells it, each of its properties
// and that property's schema.
using Visit =
    std::function<void(const std::string& map, const std::string& key, const json& schema)>;

void WalkSchema(const json& schema, const std::string& map, const Visit& visit) {
  if (schema.contains("$ref")) {
    const std::string reference = schema["$ref"];
    return WalkSchema(SchemaJson().at(json::json_pointer(reference.substr(1))), map, visit);
  }
  if (schema.contains("allOf")) {
    for (const json& part : schema["allOf"]) {
      if (part.contains("$ref")) WalkSchema(part, map, visit);
    }
  }
  if (schema.contains("anyOf")) {
    for (const json& part : schema["anyOf"]) WalkSchema(part, map, visit);
  }
  if (schema.contains("items")) WalkSchema(schema["items"], map + "[]", visit);
  if (!schema.contains("properties")) return;
  for (const auto& [key, property] : schema["properties"].items()) {
    visit(map, key, property);
    WalkSchema(property, map.empty() ? key : map + "." + key, visit);
  }
}

TEST(Schema, HasExactlyTheSupportedKeys) {
  std::set<std::string> in_schema;
  WalkSchema(SchemaJson(), "", [&](const std::string& map, const std::string& key, const json&) {
    in_schema.insert(map + " " + key);
  });
  std::set<std::string> in_loader;
  for (const KnownKey& known : KnownKeys()) {
    const std::string entry = std::string(known.map) + " " + std::string(known.key);
    if (known.supported) in_loader.insert(entry);
  }
  EXPECT_EQ(in_schema, in_loader);
}

TEST(Schema, ExplainsEveryKeyToAnEditor) {
  WalkSchema(SchemaJson(), "",
             [&](const std::string& map, const std::string& key, const json& property) {
               EXPECT_TRUE(property.contains("description")) << map << " " << key;
             });
}

TEST(Starter, LoadsAndFitsTheSchema) {
  const LoadResult result = LoadText(StarterPolicy());
  EXPECT_TRUE(result.ok()) << FirstMistake(result);
  EXPECT_TRUE(SchemaTakes(YamlToJson(StarterPolicy())));
  EXPECT_EQ(result.policy.posture, Posture::kBump);
  EXPECT_FALSE(result.policy.destinations.empty());
  EXPECT_TRUE(result.policy.credentials.empty()) << "no file may be missing at the first start";
  EXPECT_FALSE(result.policy.ca);
}

TEST(Starter, LoadsWithEveryExampleUncommented) {
  std::string text;
  std::istringstream lines{std::string(StarterPolicy())};
  bool in_body = false;
  for (std::string line; std::getline(lines, line);) {
    in_body = in_body || line == "version: 1";
    const std::size_t hash = line.find_first_not_of(' ');
    const bool example = in_body && hash != std::string::npos && line[hash] == '#' &&
                         (line.find(": ") != std::string::npos || line.ends_with(':')) &&
                         line.find(". ") == std::string::npos &&
                         line.find("`") == std::string::npos &&
                         line.find("deny-all:") == std::string::npos;
    if (example) line.erase(hash, 2);
    text += line + "\n";
  }
  const LoadResult result = LoadText(text);
  EXPECT_TRUE(result.ok()) << FirstMistake(result) << "\n" << text;
  EXPECT_EQ(result.policy.credentials.size(), 3U) << text;
  EXPECT_EQ(result.policy.destinations.size(), 2U) << text;
}

TEST(Reference, ItsExampleLoadsAndEveryKeyIsExplained) {
  const std::string page = ReadWhole("docs/policy.md");
  const std::size_t start = page.find("```yaml\n");
  ASSERT_NE(start, std::string::npos);
  const std::size_t body = start + 8;
  const std::string example = page.substr(body, page.find("```", body) - body);
  const LoadResult result = LoadText(example);
  EXPECT_TRUE(result.ok()) << FirstMistake(result);
  EXPECT_TRUE(SchemaTakes(YamlToJson(example)));
  const std::string prose = page.substr(page.find("```", body));
  for (const KnownKey& known : KnownKeys()) {
    if (!known.supported) continue;
    const std::string key(known.key);
    EXPECT_TRUE(prose.find(key + "`") != std::string::npos ||
                prose.find("`" + key + ".") != std::string::npos)
        << "docs/policy.md does not explain " << known.map << "." << known.key;
  }
}

}  // namespace
}  // namespace exeat::policy
