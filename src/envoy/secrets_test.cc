#include "envoy/secrets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "envoy/endpoints.h"
#include "envoy/json.h"
#include "envoy/testing/small_policy.h"
#include "envoy/testing/typing.h"

namespace exeat::envoy {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

base::StatusOr<std::vector<Resource>> Built(const policy::Credential& credential,
                                            std::string_view value, std::string chain = "") {
  credentials::Material material;
  material.value = base::Secret(std::string(value));
  material.certificate = std::move(chain);
  return BuildCredential(credential, material);
}

Json BodyOf(const Resource& secret) { return *testing::Types().ToJson(kSecretType, secret.value); }

std::string Attached(const policy::Credential& credential, std::string_view value) {
  const auto secrets = Built(credential, value);
  EXPECT_TRUE(secrets.ok()) << secrets.status();
  EXPECT_EQ(secrets->size(), 1u);
  const Json body = BodyOf(secrets->front());
  return body["generic_secret"]["secret"].value("inline_string", "absent");
}

TEST(BuildCredential, PublishesTheValueAsTheInjectorAttachesIt) {
  policy::Credential credential = {.name = "git", .kind = policy::CredentialKind::kBearer};
  EXPECT_EQ(Attached(credential, "tok"), "tok");
  credential.kind = policy::CredentialKind::kBasic;
  credential.username = "x-access-token";
  EXPECT_EQ(Attached(credential, "tok"), "eC1hY2Nlc3MtdG9rZW46dG9r");
}

TEST(BuildCredential, PublishesAnEmptyValueBlankSoThatEnvoyRefuses) {
  for (const auto kind : {policy::CredentialKind::kHeader, policy::CredentialKind::kBasic}) {
    EXPECT_EQ(Attached({.name = "git", .kind = kind, .username = "u"}, ""), "");
  }
}

TEST(BuildCredential, PublishesKeysThatSignAsAFilterBehindAGate) {
  policy::Credential aws = {.name = "s3",
                            .kind = policy::CredentialKind::kAwsSigv4,
                            .service = "s3",
                            .region = "eu-west-1"};
  credentials::Material keys;
  keys.access_key_id = "AKID";
  keys.value = base::Secret("hunter2");
  keys.session_token = base::Secret("token2");
  const auto open = BuildCredential(aws, keys);
  ASSERT_TRUE(open.ok()) << open.status();
  ASSERT_EQ(open->size(), 2u);
  const Resource& filter = open->front();
  EXPECT_EQ(filter.type_url, kExtensionType);
  EXPECT_EQ(filter.name, "credential:s3");
  EXPECT_THAT(filter.body.dump(), Not(HasSubstr("hunter2")));
  const Json config = (*testing::Types().ToJson(kExtensionType, filter.value))["typed_config"];
  EXPECT_EQ(config["service_name"], "s3");
  EXPECT_EQ(config["use_unsigned_payload"], true);
  const Json inline_keys = config["credential_provider"]["inline_credential"];
  EXPECT_EQ(inline_keys["access_key_id"], "AKID");
  EXPECT_EQ(inline_keys["secret_access_key"], "hunter2");
  EXPECT_EQ(inline_keys["session_token"], "token2");
  aws.service = "execute-api";
  EXPECT_FALSE((*testing::Types().ToJson(kExtensionType,
                                         BuildCredential(aws, keys)->front().value))["typed_config"]
                   .value("use_unsigned_payload", false));
  EXPECT_EQ(BuildCredential(aws, {})->size(), 1u);
}

TEST(BuildCredential, KeepsTheValueOutOfBodyAndVersion) {
  const auto secret = [](std::string_view value) { return Built({.name = "git"}, value)->front(); };
  EXPECT_THAT(secret("hunter2").body.dump(), Not(HasSubstr("hunter2")));
  EXPECT_NE(secret("hunter2").version, VersionOf(secret("hunter2").value));
  EXPECT_EQ(secret("hunter2").version, secret("hunter2").version);
  EXPECT_NE(secret("hunter2").version, secret("hunter3").version);
}

// Envoy keeps the pair that it has, so that the gate alone is what closes.
TEST(BuildCredential, PublishesACertificateBehindAGate) {
  const policy::Credential bank = {.name = "bank", .kind = policy::CredentialKind::kMtls};
  const auto open = Built(bank, "KEY", "CHAIN");
  ASSERT_EQ(open->size(), 2u);
  EXPECT_EQ((*open)[0].name, "credential:bank");
  EXPECT_EQ(BodyOf((*open)[0])["tls_certificate"]["private_key"]["inline_bytes"], "S0VZ");
  EXPECT_EQ((*open)[1].name, "gate:bank");
  EXPECT_EQ(BodyOf((*open)[1])["generic_secret"]["secret"]["inline_string"], "open");
  const auto closed = Built(bank, "");
  ASSERT_EQ(closed->size(), 1u);
  EXPECT_EQ(closed->front().name, "gate:bank");
  EXPECT_EQ(BodyOf(closed->front())["generic_secret"]["secret"]["inline_string"], "");
}

TEST(BuildCredential, RefusesWhatNoHeaderCarriesAndDoesNotQuoteIt) {
  for (const std::string& value :
       {std::string("hun\nter2"), std::string("hunter2 "), std::string(" hunter2"),
        std::string("hun\0ter2", 8), std::string("hunt\xc3\xa9r2"), std::string(20000, 'h')}) {
    const auto secret = Built({.name = "git"}, value);
    EXPECT_EQ(secret.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(base::Message(secret.status()), Not(HasSubstr("ter2")));
  }
}

TEST(BuildKeyPair, CarriesChainAndKeyUnderTheServerName) {
  const auto leaf = BuildKeyPair("docs.test", "CHAIN", "KEY");
  ASSERT_TRUE(leaf.ok());
  EXPECT_EQ(leaf->name, "docs.test");
  const Json body = *testing::Types().ToJson(kSecretType, leaf->value);
  EXPECT_EQ(body["tls_certificate"]["certificate_chain"]["inline_bytes"], "Q0hBSU4=");
  EXPECT_EQ(body["tls_certificate"]["private_key"]["inline_bytes"], "S0VZ");
  EXPECT_FALSE(BuildKeyPair("docs.test", "CHAIN", "").ok());
}

TEST(BuildEndpoints, ListsTheAddressesUnderALease) {
  const policy::Policy policy = testing::SmallPolicy();
  const std::vector<policy::IpAddress> addresses = {*policy::IpAddress::Parse("203.0.113.10"),
                                                    *policy::IpAddress::Parse("2001:db8::1")};
  const auto first = BuildEndpoints(policy.destinations[0], 443, addresses, testing::Types());
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->name, "anthropic:443");
  EXPECT_EQ(first->body["policy"]["endpoint_stale_after"], "3s");
  EXPECT_EQ(first->body["endpoints"][0]["lb_endpoints"].size(), 2u);
}

TEST(BuildEndpoints, ClosesADestinationWithoutAddresses) {
  const policy::Policy policy = testing::SmallPolicy();
  const auto closed = BuildEndpoints(policy.destinations[0], 443, {}, testing::Types());
  ASSERT_TRUE(closed.ok()) << closed.status();
  EXPECT_TRUE(closed->body["endpoints"][0]["lb_endpoints"].empty());
}

}  // namespace
}  // namespace exeat::envoy
