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

base::SocketEnd End(bool is_v4, std::uint16_t port) {
  base::SocketEnd end;
  end.is_v4 = is_v4;
  end.port = port;
  for (std::size_t i = 0; i < (is_v4 ? 4U : 16U); ++i)
    end.ip[i] = static_cast<std::uint8_t>(200 + i);
  return end;
}

CutSockets Cut(std::size_t count) {
  CutSockets cut{UINT64_MAX, {}};
  for (std::size_t i = 0; i < count; ++i) {
    cut.sockets.push_back({1'000'000'000'000 + i, End(i % 2 == 0, 443), End(i % 2 == 0, 65535)});
  }
  return cut;
}

std::vector<ToGuardian> AllToGuardian() {
  return {Beat{-5},      Beat{INT64_MAX}, StartEnvoy{FullCommand()},
          StartEnvoy{},  StopEnvoy{},     Ready{"ready proxy=127.0.0.1:1"},
          Ready{"a\0b"}, Drained{},       Fatal{2, "bad policy"},
          CutSockets{},  Cut(1),          Cut(5)};
}

std::vector<ToControl> AllToControl() {
  return {EnvoyStarted{77, "uid 65534", "pidfd_getfd", kCutsByDescriptor},
          EnvoyExited{139},
          EnvoyFailed{"no such file"},
          Drain{},
          Reload{},
          SocketsCut{},
          SocketsCut{UINT64_MAX, {1, UINT64_MAX}, {7}, 1234}};
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

TEST(LinkMessage, AsManySocketsAsAllowedFitAndOneMoreIsRefusedBeforeItIsSent) {
  CutSockets most = Cut(kMaxSocketsPerCut);
  for (base::SocketId& one : most.sockets) one.local = one.remote = End(false, 1);
  const auto record = Encode(ToGuardian(most));
  ASSERT_THAT(record, IsOk());
  EXPECT_EQ(*DecodeToGuardian(*record), ToGuardian(most));
  EXPECT_THAT(Encode(ToGuardian(Cut(kMaxSocketsPerCut + 1))),
              StatusIs(StatusCode::kInvalidArgument));
  SocketsCut answer;
  answer.closed.resize(kMaxSocketsPerCut);
  EXPECT_THAT(Encode(ToControl(answer)), IsOk());
  answer.closed.emplace_back();
  EXPECT_THAT(Encode(ToControl(answer)), StatusIs(StatusCode::kInvalidArgument));
}

TEST(LinkMessage, AnEndOfAnotherFamilyIsMalformed) {
  const std::string record = *Encode(ToGuardian(Cut(1)));
  const std::size_t family_at = 2 + 8 + 4 + 8;
  ASSERT_EQ(record[family_at], 4);
  for (const char family : {'\0', '\1', '\5', '\x84'}) {
    std::string changed = record;
    changed[family_at] = family;
    EXPECT_THAT(DecodeToGuardian(changed), StatusIs(StatusCode::kInvalidArgument));
  }
}

TEST(LinkMessage, ACountPastItsBoundIsMalformed) {
  std::string record = *Encode(ToGuardian(Cut(kMaxSocketsPerCut)));
  record[10] = 1;  // 1025, and enough bytes for one more
  record += record.substr(14, 8 + 2 * 7);
  EXPECT_THAT(DecodeToGuardian(record), StatusIs(StatusCode::kInvalidArgument));
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
  for (int round = 0; round < 40000; ++round) {
    std::string record(random() % 64, '\0');
    for (char& byte : record) byte = static_cast<char>(random());
    if (record.size() >= 2 && round % 2 == 0) {
      record[0] = 1;
      record[1] = static_cast<char>((round % 4 == 0 ? 0x10 : 0x40) + random() % 8);
    }
    const auto to_guardian = DecodeToGuardian(record);
    if (to_guardian.ok()) {
      EXPECT_EQ(*Encode(*to_guardian), record);
    }
    const auto to_control = DecodeToControl(record);
    if (to_control.ok()) {
      EXPECT_EQ(*Encode(*to_control), record);
    }
  }
}

TEST(LinkMessage, AnyByteChangedIsRefusedOrReadAsItStands) {
  const std::vector<std::string> records = {*Encode(ToGuardian(Cut(3))),
                                            *Encode(ToGuardian(StartEnvoy{FullCommand()})),
                                            *Encode(ToControl(SocketsCut{9, {1, 2, 3}, {4}, 5})),
                                            *Encode(ToControl(EnvoyStarted{77, "uid", "none", 0}))};
  std::mt19937 random(11);
  for (const std::string& record : records) {
    for (int round = 0; round < 5000; ++round) {
      std::string changed = record;
      for (auto changes = 1 + random() % 3; changes > 0; --changes) {
        changed[random() % changed.size()] = static_cast<char>(random());
      }
      const auto to_guardian = DecodeToGuardian(changed);
      if (to_guardian.ok()) {
        EXPECT_EQ(*Encode(*to_guardian), changed);
      }
      const auto to_control = DecodeToControl(changed);
      if (to_control.ok()) {
        EXPECT_EQ(*Encode(*to_control), changed);
      }
    }
  }
}

}  // namespace
}  // namespace exeat::guardian
