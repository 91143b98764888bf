#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "policy/load.h"

namespace exeat::policy {
namespace {

using testing::HasSubstr;

LoadResult LoadWith(std::string_view destination, std::string_view listeners) {
  std::string text =
      "version: 1\ndeployment: d\nresolver: {upstream: [192.0.2.53:53]}\nlisteners: {";
  text.append(listeners).append("}\ndestinations:\n- name: a\n").append(destination);
  return Load(text, "exeat.yaml", "/etc/exeat");
}

LoadResult LoadOne(std::string_view destination) {
  return LoadWith(destination, "proxy: 127.0.0.1:0");
}

std::string All(const LoadResult& result) {
  std::string text;
  for (const Mistake& mistake : result.mistakes) text += mistake.ToString() + "\n";
  return text;
}

TEST(LoadAuthorize, IsEachRequestUnlessTheDestinationSaysOtherwise) {
  const auto read = [](std::string_view more) {
    const LoadResult result = LoadOne("  host: a.example\n" + std::string(more));
    EXPECT_TRUE(result.ok()) << All(result);
    return result.policy.destinations.at(0).authorize;
  };
  EXPECT_EQ(read(""), Authorize::kRequest);
  EXPECT_EQ(read("  authorize: request\n"), Authorize::kRequest);
  EXPECT_EQ(read("  authorize: connection\n"), Authorize::kConnection);
  EXPECT_THAT(All(LoadOne("  host: a.example\n  authorize: tunnel\n")),
              HasSubstr("exeat.yaml:8: destinations[0].authorize: expected request | connection"));
}

TEST(LoadAuthorize, CannotBeOnceWhereEachRequestMustBeJudged) {
  const std::pair<const char*, const char*> cases[] = {
      {"  host: '*.a.example'\n", "a wildcard's names are resolved"},
      {"  host: a.example\n  broker: true\n", "what a session has read"},
      {"  host: a.example\n  internal: true\n", "what a session has read"},
      {"  host: a.example\n  limits: {bytes_out_per_hour: 1GiB}\n", "a budget of bytes"},
  };
  for (const auto& [destination, why] : cases) {
    const LoadResult result = LoadOne(std::string(destination) + "  authorize: connection\n");
    EXPECT_FALSE(result.ok());
    EXPECT_THAT(All(result), HasSubstr("destinations[0].authorize: connection cannot be here: " +
                                       std::string(why)));
    EXPECT_THAT(All(result), HasSubstr("write request, or leave the key out"));
  }
}

TEST(LoadAuthorize, CannotBeOnceWithoutTunnels) {
  const char* const destination = "  host: a.example\n  authorize: connection\n";
  EXPECT_EQ(All(LoadWith(destination, "transparent: 127.0.0.1:0")),
            "exeat.yaml:8: destinations[0].authorize: connection asks once a CONNECT tunnel, and "
            "listeners.proxy is off: give it an IP:PORT, or write request\n");
  EXPECT_TRUE(LoadWith(destination, "proxy: 127.0.0.1:0, transparent: 127.0.0.1:0").ok());
}

TEST(LoadAuthorize, ShowsInADiff) {
  const Policy from = LoadOne("  host: a.example\n").policy;
  const Policy to = LoadOne("  host: a.example\n  authorize: connection\n").policy;
  EXPECT_FALSE(from.destinations == to.destinations);
  EXPECT_THAT(Diff(from, to), testing::ElementsAre("+ destinations.a.authorize: connection"));
}

}  // namespace
}  // namespace exeat::policy
