#include "base/worker.h"

#include <future>
#include <memory>
#include <stdexcept>
#include <vector>

#include "base/testing/status_matchers.h"

namespace exeat::base {
namespace {

// Keeps the worker busy until let go, so that the queue behind it can be seen to fill.
class Gate {
 public:
  explicit Gate(Worker& worker) {
    // The task holds its own share: it may still be inside when the gate is gone.
    EXPECT_THAT(worker.TryPost([doors = doors_] {
      doors->entered.set_value();
      doors->opened.get_future().wait();
    }),
                IsOk());
    doors_->entered.get_future().wait();
  }
  void Open() { doors_->opened.set_value(); }

 private:
  struct Doors {
    std::promise<void> entered;
    std::promise<void> opened;
  };
  const std::shared_ptr<Doors> doors_ = std::make_shared<Doors>();
};

TEST(Worker, GivesBackWhatTheTaskReturns) {
  Worker worker(4);
  StatusOr<int> answer = worker.Call([]() -> StatusOr<int> { return 42; });
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(*answer, 42);
}

TEST(Worker, GivesBackTheTasksError) {
  Worker worker(4);
  EXPECT_THAT(worker.Call([] { return MakeStatus(StatusCode::kNotFound, "no such row"); }),
              StatusSays(StatusCode::kNotFound, "no such row"));
}

TEST(Worker, CarriesMoveOnlyResults) {
  Worker worker(4);
  auto held =
      worker.Call([]() -> StatusOr<std::unique_ptr<int>> { return std::make_unique<int>(7); });
  ASSERT_THAT(held, IsOk());
  EXPECT_EQ(**held, 7);
}

TEST(Worker, RunsTasksInTheOrderTheyWereQueued) {
  std::vector<int> seen;
  {
    Worker worker(100);
    for (int i = 0; i < 100; ++i) {
      ASSERT_THAT(worker.TryPost([&seen, i] { seen.push_back(i); }), IsOk());
    }
  }
  ASSERT_EQ(seen.size(), 100U);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(seen[static_cast<std::size_t>(i)], i);
}

TEST(Worker, RefusesAtOnceWhenTheQueueIsFull) {
  Worker worker(1);
  Gate gate(worker);
  ASSERT_THAT(worker.TryPost([] {}), IsOk());
  EXPECT_THAT(worker.TryPost([] {}), StatusIs(StatusCode::kResourceExhausted));
  EXPECT_THAT(worker.Call([] { return absl::OkStatus(); }),
              StatusIs(StatusCode::kResourceExhausted));
  gate.Open();
}

TEST(Worker, RefusesATaskThatWouldWaitForItself) {
  Worker worker(4);
  EXPECT_THAT(worker.Call([&worker] { return worker.Call([] { return absl::OkStatus(); }); }),
              StatusIs(StatusCode::kInternal));
}

TEST(Worker, TurnsAnExceptionIntoAnErrorAndGoesOn) {
  Worker worker(4);
  EXPECT_THAT(worker.Call([]() -> Status { throw std::runtime_error("torn page"); }),
              StatusSays(StatusCode::kInternal, "torn page"));
  ASSERT_THAT(worker.TryPost([] { throw std::runtime_error("again"); }), IsOk());
  EXPECT_THAT(worker.Call([] { return absl::OkStatus(); }), IsOk());
}

TEST(Worker, RunsWhatWasQueuedBeforeItEnds) {
  bool ran = false;
  {
    Worker worker(4);
    ASSERT_THAT(worker.TryPost([&ran] { ran = true; }), IsOk());
  }
  EXPECT_TRUE(ran);
}

}  // namespace
}  // namespace exeat::base
