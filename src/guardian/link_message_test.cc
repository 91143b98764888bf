#include "guardian/link_message.h"

#include <random>

#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"

namespace exeat::guardian {
namespace {

using base::IsOk;
using base::StatusCode;
using base::StatusIs;

EnvoyCommand FullCommand() {
  EnvoyCommand command;
  command.binary = "/opt/envoy";
  command.argv = {"envoy", "-c", "bootstrap.json", ""};
  command.environment = {"HOME=/"};
  command.run_directory = "/state/envoy";
  command.uid = 65534;
  command.gid = 65533;
  return command;
}

std::vector<ToGuardian> AllToGuardian() {
  return {Beat{-5},      Beat{INT64_MAX}, StartEnvoy{FullCommand()},
          StartEnvoy{},  StopEnvoy{},     Ready{"ready proxy=127.0.0.1:1"},
          Ready{"a\0b"}, Drained{},       Fatal{2, "bad policy"}};
}

std::vector<ToControl> AllToControl() {
  return {EnvoyStarted{77, "uid 65534"}, EnvoyExited{139}, EnvoyFailed{"no such file"}, Drain{},
          Reload{}};
}

TEST(LinkMessage, EveryMessageSurvivesTheWay) {
  for (const ToGuardian& message : AllToGuardian()) {
    const auto decoded = DecodeToGuardian(*Encode(message));
    ASSERT_THAT(decoded, IsOk());
    EXPECT_EQ(*decoded, message);
  }
  for (const ToControl& message : AllToControl()) {
    const auto decoded = DecodeToControl(*Encode(message));
    ASSERT_THAT(decoded, IsOk());
    EXPECT_EQ(*decoded, message);
  }
}

TEST(LinkMessage, ARecordCutShortOrWithBytesLeftOverIsMalformed) {
  for (const ToGuardian& message : AllToGuardian()) {
    const std::string record = *Encode(message);
    for (std::size_t size = 0; size < record.size(); ++size) {
      EXPECT_THAT(DecodeToGuardian(record.substr(0, size)), StatusIs(StatusCode::kInvalidArgument));
    }
    EXPECT_THAT(DecodeToGuardian(record + '\0'), StatusIs(StatusCode::kInvalidArgument));
  }
}

TEST(LinkMessage, AnotherVersionOrKindIsMalformed) {
  std::string record = *Encode(ToGuardian(Drained{}));
  record[0] = 2;
  EXPECT_THAT(DecodeToGuardian(record), StatusIs(StatusCode::kInvalidArgument));
  record[0] = 1;
  record[1] = 0x7f;
  EXPECT_THAT(DecodeToGuardian(record), StatusIs(StatusCode::kInvalidArgument));
  record[1] = 0;
  EXPECT_THAT(DecodeToGuardian(record), StatusIs(StatusCode::kInvalidArgument));
}

TEST(LinkMessage, AMessageOfTheOtherDirectionIsMalformed) {
  EXPECT_THAT(DecodeToGuardian(*Encode(ToControl(Drain{}))),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(DecodeToControl(*Encode(ToGuardian(Drained{}))),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST(LinkMessage, AMessageTooLargeIsRefusedBeforeItIsSent) {
  EXPECT_THAT(Encode(ToGuardian(Ready{std::string(kMaxLinkMessageBytes, 'x')})),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST(LinkMessage, RandomBytesAreRefusedOrReadButNeverMore) {
  std::mt19937 random(7);
  for (int round = 0; round < 20000; ++round) {
    std::string record(random() % 64, '\0');
    for (char& byte : record) byte = static_cast<char>(random());
    if (record.size() >= 2 && round % 2 == 0) {
      record[0] = 1;
      record[1] = static_cast<char>(0x10 + random() % 8);
    }
    const auto decoded = DecodeToGuardian(record);
    if (!decoded.ok()) continue;
    EXPECT_EQ(*Encode(*decoded), record);
  }
}

}  // namespace
}  // namespace exeat::guardian
