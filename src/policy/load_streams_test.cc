#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "policy/load.h"

namespace exeat::policy {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

LoadResult LoadWith(std::string_view streams) {
  std::string text = "version: 1\ndeployment: d\nlisteners: {proxy: 127.0.0.1:0}\n";
  return Load(text.append(streams), "exeat.yaml", "/etc/exeat");
}

Policy PolicyOf(std::string_view streams) {
  LoadResult result = LoadWith(streams);
  EXPECT_TRUE(result.ok()) << streams;
  return std::move(result.policy);
}

std::string Only(std::string_view streams) {
  const LoadResult result = LoadWith(streams);
  EXPECT_EQ(result.mistakes.size(), 1U) << streams;
  return result.mistakes.empty() ? "" : result.mistakes[0].ToString();
}

TEST(LoadStreams, AreCutAsThisMachinePermitsUnlessTheFileSaysOtherwise) {
  EXPECT_EQ(PolicyOf("").streams, (Streams{CutBy::kAuto, seconds(60)}));
  EXPECT_EQ(PolicyOf("streams: {}\n").streams, Streams{});
  EXPECT_EQ(PolicyOf("streams: {cut: auto}\n").streams, Streams{});
  EXPECT_EQ(PolicyOf("streams: {cut: socket}\n").streams.cut, CutBy::kSocket);
  EXPECT_EQ(PolicyOf("streams: {cut: max_stream_duration, max_duration: 90s}\n").streams,
            (Streams{CutBy::kMaxStreamDuration, seconds(90)}));
  EXPECT_EQ(PolicyOf("streams: {max_duration: 60m}\n").streams.max_duration, seconds(3600));
}

TEST(LoadStreams, RefusesWhatIsNoWayToEndOne) {
  EXPECT_THAT(Only("streams: {cut: never}\n"),
              HasSubstr("exeat.yaml:4: streams.cut: expected auto | socket | max_stream_duration"));
  const LoadResult later = LoadWith("streams: {cut: ext_proc}\n");
  ASSERT_EQ(later.mistakes.size(), 1U);
  EXPECT_TRUE(later.mistakes[0].not_supported_yet);
}

TEST(LoadStreams, ABoundIsADurationInRangeAndOnlyWhereItCountsForSomething) {
  for (const char* const wrong : {"0s", "3601s", "60"}) {
    EXPECT_THAT(Only("streams: {max_duration: " + std::string(wrong) + "}\n"),
                HasSubstr("exeat.yaml:4: streams.max_duration: "));
  }
  EXPECT_THAT(Only("streams:\n  cut: socket\n  max_duration: 5s\n"),
              HasSubstr("exeat.yaml:6: streams.max_duration: bounds streams that cannot be cut"));
}

TEST(LoadStreams, AreThisEdgesOwnAndReadAtItsStart) {
  const Policy from = PolicyOf("");
  const Policy to = PolicyOf("streams: {cut: max_stream_duration, max_duration: 5s}\n");
  EXPECT_THAT(Diff(from, to), ElementsAre("~ streams.cut: auto -> max_stream_duration",
                                          "~ streams.max_duration: 60s -> 5s"));
  EXPECT_THAT(RestartKeys(from, to), ElementsAre("streams.cut", "streams.max_duration"));
  EXPECT_EQ(WithOwnKeys(to, from).streams, from.streams);
}

}  // namespace
}  // namespace exeat::policy
