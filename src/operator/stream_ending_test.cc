#include "operator/stream_ending.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace exeat::ops {
namespace {

using policy::CutBy;
using std::chrono::seconds;
using testing::StartsWith;
using How = StreamEnding::How;

constexpr char kWhy[] = "none: not permitted";

TEST(StreamEnding, IsTheSocketWhereThatIsPermittedAndWanted) {
  for (const CutBy wanted : {CutBy::kAuto, CutBy::kSocket}) {
    const StreamEnding ending = EndStreamsBy({wanted, seconds(60)}, true, "pidfd_getfd");
    EXPECT_EQ(ending.how, How::kCut);
    EXPECT_EQ(ending.bound, seconds(0));
    EXPECT_EQ(ending.words, "pidfd_getfd");
  }
}

TEST(StreamEnding, IsABoundWhereSocketsCannotBeCutAndSaysThatThisIsNotACut) {
  const StreamEnding ending = EndStreamsBy({CutBy::kAuto, seconds(60)}, false, kWhy);
  EXPECT_EQ(ending.how, How::kBounded);
  EXPECT_EQ(ending.lasts, seconds(60));
  EXPECT_EQ(ending.bound, seconds(60) + kLongestDial);
  EXPECT_EQ(ending.words, "none: not permitted; every stream ends by itself within 75 s");
}

TEST(StreamEnding, IsARefusalWhereNothingButTheSocketWillDo) {
  const StreamEnding ending = EndStreamsBy({CutBy::kSocket, seconds(60)}, false, kWhy);
  EXPECT_EQ(ending.how, How::kRefused);
  EXPECT_EQ(ending.bound, seconds(0));
  EXPECT_THAT(ending.words, StartsWith("none: not permitted; every stream is refused"));
}

TEST(StreamEnding, IsTheBoundThatWasChosenWhateverIsPermitted) {
  for (const bool permitted : {true, false}) {
    const StreamEnding ending =
        EndStreamsBy({CutBy::kMaxStreamDuration, seconds(5)}, permitted, kWhy);
    EXPECT_EQ(ending.how, How::kBounded);
    EXPECT_EQ(ending.lasts, seconds(5));
    EXPECT_EQ(ending.words, "max_stream_duration; every stream ends by itself within 20 s");
  }
}

TEST(StreamEnding, RefusesAsLongAsNobodyHasChosen) { EXPECT_EQ(StreamEnding().how, How::kRefused); }

}  // namespace
}  // namespace exeat::ops
