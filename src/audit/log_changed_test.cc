#include <unistd.h>

#include <fstream>
#include <thread>

#include "audit/log.h"
#include "audit/testing/log_directory.h"
#include "base/testing/fake_clock.h"
#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"

namespace exeat::audit {
namespace {

using base::IsOk;
using base::StatusCode;
using base::StatusIs;
using base::StatusSays;

// Each does to the file under a log what the log must notice.
class AuditLogChangedUnderneath : public testing::Test {
 protected:
  void SetUp() override {
    auto log = Log::Open(directory_.path(), "lab", clock_);
    ASSERT_THAT(log, IsOk());
    log_ = std::move(log).value();
    for (int i = 0; i < 3; ++i) ASSERT_THAT(log_->Append({}), IsOk());
    ASSERT_THAT(log_->Sync(), IsOk());
    ASSERT_THAT(log_->Health(), IsOk());
    text_ = directory_.Text();
    path_ = LogPath(directory_.path());
  }
  // The record that carries the notice may still be taken; none after it.
  void ExpectClosedForGood(const std::string& why) {
    (void)log_->Append({});
    EXPECT_THAT(log_->Sync(), StatusSays(StatusCode::kDataLoss, why));
    EXPECT_THAT(log_->Append({}), StatusSays(StatusCode::kDataLoss, why));
    EXPECT_THAT(log_->Health(), StatusSays(StatusCode::kDataLoss, why));
  }
  std::size_t WithoutLast() const { return text_.rfind('\n', text_.size() - 2) + 1; }

  LogDirectory directory_;
  base::FakeClock clock_;
  std::unique_ptr<Log> log_;
  std::string text_;
  std::string path_;
};

TEST_F(AuditLogChangedUnderneath, NoticesThatItsEndWasCut) {
  ASSERT_EQ(truncate(path_.c_str(), static_cast<off_t>(WithoutLast())), 0);
  ExpectClosedForGood("bytes");
}

TEST_F(AuditLogChangedUnderneath, NoticesThatItWasEmptied) {
  ASSERT_EQ(truncate(path_.c_str(), 0), 0);
  ExpectClosedForGood("bytes");
}

TEST_F(AuditLogChangedUnderneath, NoticesWhatItDidNotWrite) {
  std::ofstream(path_, std::ios::app) << "{}\n";
  ExpectClosedForGood("bytes");
}

TEST_F(AuditLogChangedUnderneath, NoticesAnotherFileInItsPlace) {
  directory_.Replace(text_);
  ExpectClosedForGood("replaced");
}

TEST_F(AuditLogChangedUnderneath, NoticesThatItsFileIsGone) {
  ASSERT_EQ(unlink(path_.c_str()), 0);
  ExpectClosedForGood("removed");
}

TEST_F(AuditLogChangedUnderneath, NoticesWithinASecondThoughNothingIsWritten) {
  ASSERT_EQ(truncate(path_.c_str(), static_cast<off_t>(WithoutLast())), 0);
  const auto end = base::SystemClock().BootNow() + std::chrono::seconds(10);
  while (log_->Health().ok() && base::SystemClock().BootNow() < end) std::this_thread::yield();
  EXPECT_THAT(log_->Append({}), StatusIs(StatusCode::kDataLoss));
}

TEST_F(AuditLogChangedUnderneath, StaysClosedThoughTheFileIsPutBack) {
  ASSERT_EQ(truncate(path_.c_str(), static_cast<off_t>(WithoutLast())), 0);
  ExpectClosedForGood("bytes");
  std::ofstream(path_, std::ios::trunc) << text_;
  EXPECT_THAT(log_->Append({}), StatusIs(StatusCode::kDataLoss));
}

TEST_F(AuditLogChangedUnderneath, IsNotIntactBesideTheHeadThatTheWriterKnows) {
  const HeadRecord head = log_->Head();
  ASSERT_EQ(head.seq, 3u);
  EXPECT_TRUE(Verify(directory_.path(), {}, {head})->intact);
  ASSERT_EQ(truncate(path_.c_str(), static_cast<off_t>(WithoutLast())), 0);
  const auto verdict = Verify(directory_.path(), {}, {head});
  ASSERT_THAT(verdict, IsOk());
  EXPECT_FALSE(verdict->intact);
  EXPECT_EQ(verdict->first_bad_line, 3u);
  EXPECT_NE(verdict->problem.find("ends at record 2, but record 3 was written"), std::string::npos)
      << verdict->problem;
}

}  // namespace
}  // namespace exeat::audit
