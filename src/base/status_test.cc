#include "base/status.h"

#include <cerrno>
#include <memory>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace exeat::base {
namespace {

Status Broken() { return MakeStatus(StatusCode::kNotFound, "session s1 is unknown"); }

TEST(Statuses, KeepTheCodeAndTheWholeMessage) {
  const std::string message("a\0b", 3);
  const Status status = MakeStatus(StatusCode::kAborted, message);
  EXPECT_EQ(status.code(), StatusCode::kAborted);
  EXPECT_EQ(Message(status), message);
  EXPECT_EQ(Message(absl::OkStatus()), "");
}

TEST(Statuses, GainContextInFrontAndKeepTheirCode) {
  EXPECT_THAT(Annotate(Broken(), "renew"), StatusIs(StatusCode::kNotFound));
  EXPECT_EQ(Message(Annotate(Broken(), "renew")), "renew: session s1 is unknown");
}

TEST(Statuses, StayOkWhateverTheContext) { EXPECT_THAT(Annotate(absl::OkStatus(), "x"), IsOk()); }

TEST(Errno, BecomesTheCodeThatCallersActOn) {
  EXPECT_THAT(ErrnoStatus(ENOENT, "f"), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(ErrnoStatus(EEXIST, "f"), StatusIs(StatusCode::kAlreadyExists));
  EXPECT_THAT(ErrnoStatus(EACCES, "f"), StatusIs(StatusCode::kPermissionDenied));
  EXPECT_THAT(ErrnoStatus(EPERM, "f"), StatusIs(StatusCode::kPermissionDenied));
  EXPECT_THAT(ErrnoStatus(ENOSPC, "f"), StatusIs(StatusCode::kResourceExhausted));
  EXPECT_THAT(ErrnoStatus(EIO, "f"), StatusIs(StatusCode::kUnavailable));
}

TEST(Errno, IsNeverOkAndNamesTheSubject) {
  EXPECT_THAT(ErrnoStatus(0, "f"), StatusIs(StatusCode::kUnavailable));
  EXPECT_THAT(ErrnoStatus(ENOENT, "state/key"), StatusSays(StatusCode::kNotFound, "state/key: "));
}

Status PassOn(const Status& status, bool& went_on) {
  RETURN_IF_ERROR(status);
  went_on = true;
  return absl::OkStatus();
}

TEST(ReturnIfError, StopsAtAnErrorAndOnlyThere) {
  bool went_on = false;
  EXPECT_THAT(PassOn(Broken(), went_on), StatusIs(StatusCode::kNotFound));
  EXPECT_FALSE(went_on);
  EXPECT_THAT(PassOn(absl::OkStatus(), went_on), IsOk());
  EXPECT_TRUE(went_on);
}

StatusOr<int> Next(StatusOr<std::unique_ptr<int>> boxed) {
  ASSIGN_OR_RETURN(const std::unique_ptr<int> box, std::move(boxed));
  int next = 0;
  ASSIGN_OR_RETURN(next, StatusOr<int>(*box + 1));
  return next;
}

TEST(AssignOrReturn, MovesTheValueOutOrPassesTheErrorOn) {
  EXPECT_EQ(*Next(std::make_unique<int>(41)), 42);
  EXPECT_THAT(Next(Broken()), StatusIs(StatusCode::kNotFound));
}

}  // namespace
}  // namespace exeat::base
