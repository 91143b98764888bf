#include "operator/edges.h"

#include <future>

#include "base/testing/fake_clock.h"
#include "base/testing/status_matchers.h"
#include "store/testing/memory_store.h"

namespace exeat::ops {
namespace {

using base::IsOk;
using base::StatusCode;
using base::StatusIs;
using base::StatusSays;
using std::chrono::milliseconds;

// Edge "self" has committed a change; the others are what a test makes of them.
class EdgesTest : public testing::Test {
 protected:
  void SetUp() override {
    start_ = store_.ReadAll(0, {}).value();
    for (const char* edge : {"self", "b", "c"}) Renew(edge, start_.seq);
    seq_ = store_.PutRevocations(std::vector<store::RevocationRow>{{.id = "s"}}).value();
  }
  void Renew(const std::string& edge, std::uint64_t applied) {
    ASSERT_THAT(store_.RenewLease(edge, {start_.timeline, applied}), IsOk());
  }
  std::future<base::StatusOr<Edges::Answer>> Await() {
    return std::async(std::launch::async, [this] { return edges_.Await(seq_); });
  }
  // Gives those who wait some looks.
  template <class Result>
  bool WaitsOn(std::future<Result>& waiting) {
    return waiting.wait_for(milliseconds(60)) == std::future_status::timeout;
  }

  store::MemoryStore store_;
  base::Worker worker_{16};
  base::FakeClock clock_;
  Edges edges_{{store_, worker_, clock_}, {.self = "self"}};
  store::Position start_;
  std::uint64_t seq_ = 0;
};

TEST_F(EdgesTest, AnswersWhenEveryOtherHasAcknowledged) {
  auto waiting = Await();
  Renew("b", seq_);
  EXPECT_TRUE(WaitsOn(waiting));
  Renew("c", seq_);
  const auto answer = waiting.get();
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(answer->in_force, 3U);
  EXPECT_EQ(answer->ended, 0U);
}

TEST_F(EdgesTest, WaitsOutAnEdgeThatStandsStillAndEndsItsLease) {
  Renew("b", seq_);
  auto waiting = Await();
  EXPECT_TRUE(WaitsOn(waiting));
  clock_.Advance(milliseconds(2199));
  EXPECT_TRUE(WaitsOn(waiting));
  clock_.Advance(milliseconds(1));
  const auto answer = waiting.get();
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(answer->in_force, 2U);
  EXPECT_EQ(answer->ended, 1U);
  EXPECT_THAT(store_.RenewLease("c", start_), StatusIs(StatusCode::kFailedPrecondition));
}

TEST_F(EdgesTest, CountsAnewWhenAnEdgeThatIsBehindRenews) {
  Renew("b", seq_);
  auto waiting = Await();
  EXPECT_TRUE(WaitsOn(waiting));
  clock_.Advance(milliseconds(2000));
  Renew("c", start_.seq);
  EXPECT_TRUE(WaitsOn(waiting));
  clock_.Advance(milliseconds(2000));
  EXPECT_TRUE(WaitsOn(waiting));
  Renew("c", seq_);
  EXPECT_EQ(waiting.get().value().in_force, 3U);
}

TEST_F(EdgesTest, AnswersNothingForAnEdgeThatLivesAndStaysBehind) {
  auto waiting = Await();
  for (int i = 0; i < 6; ++i) {
    EXPECT_TRUE(WaitsOn(waiting));
    Renew("b", seq_);
    Renew("c", start_.seq);
    clock_.Advance(milliseconds(1900));
  }
  EXPECT_THAT(waiting.get(), StatusSays(StatusCode::kDeadlineExceeded, "c lives"));
}

TEST_F(EdgesTest, AnswersNothingWhileTheStoreCannotSay) {
  store_.FailWith(base::MakeStatus(StatusCode::kUnavailable, "gone"));
  auto waiting = Await();
  EXPECT_TRUE(WaitsOn(waiting));
  clock_.Advance(std::chrono::seconds(10));
  EXPECT_THAT(waiting.get(), StatusSays(StatusCode::kDeadlineExceeded, "gone"));
}

TEST_F(EdgesTest, LetsGoOfEverybodyAtTheEnd) {
  auto waiting = Await();
  edges_.Stop();
  EXPECT_THAT(waiting.get(), StatusIs(StatusCode::kUnavailable));
}

}  // namespace
}  // namespace exeat::ops
