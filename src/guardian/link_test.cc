#include "guardian/link.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <utility>

#include "base/testing/fake_clock.h"
#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"

namespace exeat::guardian {
namespace {

using base::IsOk;
using base::StatusCode;
using base::StatusIs;
using std::chrono::milliseconds;

// What the reading thread was told.
class Heard {
 public:
  void Message(const ToControl& message) {
    base::MutexLock lock(mutex_);
    messages_.push_back(message);
    changed_.NotifyAll();
  }
  void Closed() {
    base::MutexLock lock(mutex_);
    closed_ = true;
    changed_.NotifyAll();
  }
  std::vector<ToControl> WaitFor(std::size_t count) {
    base::MutexLock lock(mutex_);
    while (messages_.size() < count) {
      if (!changed_.WaitFor(mutex_, std::chrono::seconds(10))) break;
    }
    return messages_;
  }
  bool WaitForClosed() {
    base::MutexLock lock(mutex_);
    while (!closed_) {
      if (!changed_.WaitFor(mutex_, std::chrono::seconds(10))) break;
    }
    return closed_;
  }

 private:
  base::Mutex mutex_;
  base::CondVar changed_;
  std::vector<ToControl> messages_ GUARDED_BY(mutex_);
  bool closed_ GUARDED_BY(mutex_) = false;
};

class LinkTest : public ::testing::Test {
 protected:
  LinkTest() {
    GuardianLink::Pair pair = *GuardianLink::Open();
    guardian_.emplace(std::move(pair.guardian));
    raw_control_ = pair.control.get();
    control_ = *ControlLink::Adopt(pair.control.Release());
  }
  void Listen() {
    control_->Listen([this](const ToControl& message) { heard_.Message(message); },
                     [this] { heard_.Closed(); });
  }
  // The next message from control, waited for.
  base::StatusOr<std::optional<ToGuardian>> Next() {
    pollfd wait{guardian_->fd(), POLLIN, 0};
    poll(&wait, 1, 10000);
    return guardian_->Receive();
  }

  Heard heard_;
  std::optional<GuardianLink> guardian_;
  int raw_control_ = -1;
  std::unique_ptr<ControlLink> control_;
};

TEST_F(LinkTest, CarriesMessagesBothWaysInOrder) {
  Listen();
  ASSERT_THAT(control_->Send(Ready{"one"}), IsOk());
  ASSERT_THAT(control_->Send(Drained{}), IsOk());
  EXPECT_EQ(**Next(), ToGuardian(Ready{"one"}));
  EXPECT_EQ(**Next(), ToGuardian(Drained{}));
  ASSERT_THAT(guardian_->Send(EnvoyStarted{5, "x"}), IsOk());
  ASSERT_THAT(guardian_->Send(Reload{}), IsOk());
  EXPECT_EQ(heard_.WaitFor(2), (std::vector<ToControl>{EnvoyStarted{5, "x"}, Reload{}}));
}

TEST_F(LinkTest, NothingWaitingIsNoError) {
  const auto received = guardian_->Receive();
  ASSERT_THAT(received, IsOk());
  EXPECT_FALSE(received->has_value());
}

TEST_F(LinkTest, TheGuardianSeesThatControlIsGone) {
  control_.reset();
  EXPECT_THAT(Next(), StatusIs(StatusCode::kUnavailable));
}

TEST_F(LinkTest, ControlSeesThatTheGuardianIsGone) {
  Listen();
  guardian_.reset();
  EXPECT_TRUE(heard_.WaitForClosed());
  EXPECT_THAT(control_->Send(Drained{}), StatusIs(StatusCode::kUnavailable));
}

TEST_F(LinkTest, ClosingControlsOwnEndIsNotReportedAsTheGuardiansEnd) {
  std::atomic<bool> closed = false;
  control_->Listen([](const ToControl&) {}, [&] { closed = true; });
  control_.reset();
  EXPECT_FALSE(closed);
}

TEST_F(LinkTest, AMalformedRecordBreaksTheLinkForTheGuardian) {
  ASSERT_EQ(send(raw_control_, "garbage", 7, 0), 7);
  EXPECT_THAT(Next(), StatusIs(StatusCode::kInvalidArgument));
}

TEST_F(LinkTest, AnOversizedRecordBreaksTheLinkForTheGuardian) {
  const std::string large(kMaxLinkMessageBytes + 1, '\x01');
  ASSERT_EQ(send(raw_control_, large.data(), large.size(), 0), static_cast<ssize_t>(large.size()));
  EXPECT_THAT(Next(), StatusIs(StatusCode::kInvalidArgument));
}

TEST_F(LinkTest, AMalformedRecordEndsControlsReader) {
  Listen();
  ASSERT_EQ(send(guardian_->fd(), "garbage", 7, 0), 7);
  EXPECT_TRUE(heard_.WaitForClosed());
  EXPECT_TRUE(heard_.WaitFor(0).empty());
}

TEST_F(LinkTest, AGuardianIsNeverHeldUpByAControlThatDoesNotRead) {
  base::Status sent = absl::OkStatus();
  for (int i = 0; i < 100000 && sent.ok(); ++i) sent = guardian_->Send(Reload{});
  EXPECT_THAT(sent, StatusIs(StatusCode::kUnavailable));
}

TEST_F(LinkTest, AdoptingTakesTheDescriptorOutOfTheReachOfChildren) {
  EXPECT_EQ(fcntl(raw_control_, F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(fcntl(guardian_->fd(), F_GETFD), FD_CLOEXEC);
}

TEST(ControlLinkAdopt, RefusesADescriptorThatIsNoLink) {
  base::UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  EXPECT_THAT(ControlLink::Adopt(null.get()), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(ControlLink::Adopt(-1), StatusIs(StatusCode::kInvalidArgument));
  base::UniqueFd stream(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_THAT(ControlLink::Adopt(stream.get()), StatusIs(StatusCode::kInvalidArgument));
}

TEST_F(LinkTest, BeatsCarryTheTimeTheyWereSentAt) {
  base::FakeClock clock;
  BeatThread beats(*control_, clock, [] { return true; }, milliseconds(1));
  EXPECT_EQ(**Next(), ToGuardian(Beat{clock.BootNow().count()}));
  clock.Advance(std::chrono::seconds(1));
  const ToGuardian later(Beat{clock.BootNow().count()});
  int seen = 1;
  while (**Next() != later && seen < 100000) ++seen;
  EXPECT_LT(seen, 100000);
}

TEST_F(LinkTest, NoBeatIsSentWhileDecisionsAreNotBeingMade) {
  base::FakeClock clock;
  std::atomic<int> asked = 0;
  {
    BeatThread beats(*control_, clock, [&] { return ++asked < 0; }, milliseconds(1));
    while (asked < 5) std::this_thread::yield();
  }
  const auto received = guardian_->Receive();
  ASSERT_THAT(received, IsOk());
  EXPECT_FALSE(received->has_value());
}

}  // namespace
}  // namespace exeat::guardian
