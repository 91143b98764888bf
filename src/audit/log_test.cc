#include "audit/log.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <atomic>
#include <cerrno>
#include <thread>

#include "audit/chain.h"
#include "audit/recovery.h"
#include "audit/testing/faulty_file.h"
#include "audit/testing/log_directory.h"
#include "base/fd.h"
#include "base/testing/fake_clock.h"
#include "base/testing/status_matchers.h"
#include "fmt/format.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace exeat::audit {
namespace {

using base::IsOk;
using base::StatusCode;
using base::StatusIs;
using base::StatusSays;

Event Request(const std::string& path = "/") {
  Event event;
  event.phase = Phase::kIntent;
  event.allowed = true;
  event.sid = "s1";
  event.method = "GET";
  event.host = "example.com";
  event.path = path;
  return event;
}

class AuditLog : public testing::Test {
 protected:
  std::unique_ptr<Log> Open() {
    auto log = Log::Open(directory_.path(), "lab", clock_);
    EXPECT_THAT(log, IsOk());
    return log.ok() ? std::move(log).value() : nullptr;
  }
  std::unique_ptr<Log> OpenFaulty() {
    auto log = OpenLogWith(disk_.Opener(), directory_.path(), "lab", clock_);
    EXPECT_THAT(log, IsOk());
    return log.ok() ? std::move(log).value() : nullptr;
  }
  void Write(int count) {
    auto log = Open();
    for (int i = 0; i < count; ++i) ASSERT_THAT(log->Append(Request()), IsOk());
  }
  void ExpectIntact(std::uint64_t records) {
    const auto verdict = Verify(directory_.path());
    ASSERT_THAT(verdict, IsOk());
    EXPECT_TRUE(verdict->intact) << verdict->problem;
    EXPECT_EQ(verdict->records, records);
  }
  LogDirectory directory_;
  base::FakeClock clock_;
  FaultyDisk disk_;
};

TEST_F(AuditLog, NumbersRecordsFromOneAndChainsThem) {
  auto log = Open();
  EXPECT_EQ(log->last_seq(), 0u);
  EXPECT_EQ(log->Append(Request()).value(), 1u);
  EXPECT_EQ(log->Append(Request()).value(), 2u);
  EXPECT_EQ(log->last_seq(), 2u);
  ExpectIntact(2);
}

TEST_F(AuditLog, GoesOnWhereItStoppedBefore) {
  Write(3);
  auto log = Open();
  EXPECT_EQ(log->last_seq(), 3u);
  EXPECT_EQ(log->Append(Request()).value(), 4u);
  ExpectIntact(4);
}

TEST_F(AuditLog, IsForItsOwnerAlone) {
  const mode_t before = umask(0);
  Write(1);
  umask(before);
  struct stat info{};
  ASSERT_EQ(stat(LogPath(directory_.path()).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600);
  ASSERT_EQ(chmod(LogPath(directory_.path()).c_str(), 0644), 0);
  EXPECT_THAT(Log::Open(directory_.path(), "lab", clock_),
              StatusSays(StatusCode::kFailedPrecondition, "chmod 600"));
}

TEST_F(AuditLog, IsWrittenByOneProcessOnly) {
  auto log = Open();
  EXPECT_THAT(Log::Open(directory_.path(), "lab", clock_),
              StatusSays(StatusCode::kFailedPrecondition, "another process"));
  log.reset();
  Open();
}

TEST_F(AuditLog, CarriesTheWallClockInMilliseconds) {
  auto log = Open();
  clock_.Advance(std::chrono::milliseconds(7));
  ASSERT_THAT(log->Append(Request()), IsOk());
  EXPECT_EQ(nlohmann::json::parse(directory_.Text())["time"], 1'800'000'000'007);
}

TEST_F(AuditLog, KeepsConcurrentAppendsInOneChain) {
  auto log = Open();
  {
    std::vector<std::jthread> writers;
    for (int i = 0; i < 4; ++i) {
      writers.emplace_back([&] {
        for (int n = 0; n < 200; ++n) ASSERT_THAT(log->Append(Request()), IsOk());
      });
    }
    writers.emplace_back([&] {
      for (int n = 0; n < 5; ++n) ASSERT_THAT(log->Sync(), IsOk());
    });
  }
  ExpectIntact(800);
}

TEST_F(AuditLog, CanBeVerifiedWhileItIsWritten) {
  auto log = Open();
  ASSERT_THAT(log->Append(Request()), IsOk());
  std::atomic<bool> done = false;
  std::jthread writer([&] {
    const std::string path = "/" + std::string(3000, 'x');
    for (int i = 0; i < 2000; ++i) ASSERT_THAT(log->Append(Request(path)), IsOk());
    done = true;
  });
  while (!done) {
    const auto verdict = Verify(directory_.path());
    ASSERT_THAT(verdict, IsOk());
    ASSERT_TRUE(verdict->intact) << verdict->problem;
  }
}

TEST_F(AuditLog, IsReadOnlyAsFarAsItWentWhenReadingBegan) {
  Write(3);
  auto log = Open();
  int read = 0;
  ASSERT_THAT(Export(directory_.path(), 1,
                     [&](std::string_view) {
                       ++read;
                       ASSERT_LE(read, 3);
                       ASSERT_THAT(log->Append(Request()), IsOk());
                     }),
              IsOk());
  EXPECT_EQ(read, 3);
}

TEST_F(AuditLog, SyncReturnsOnceTheDiskHasAll) {
  auto log = OpenFaulty();
  ASSERT_THAT(log->Append(Request()), IsOk());
  ASSERT_THAT(log->Sync(), IsOk());
  EXPECT_GE(disk_.syncs(), 1);
}

TEST_F(AuditLog, SyncsByItselfBeforeItEnds) {
  auto log = OpenFaulty();
  ASSERT_THAT(log->Append(Request()), IsOk());
  log.reset();
  EXPECT_GE(disk_.syncs(), 1);
}

TEST_F(AuditLog, RefusesWhileTheDiskIsFullAndGoesOnAfterwards) {
  auto log = OpenFaulty();
  ASSERT_THAT(log->Append(Request()), IsOk());
  disk_.Set({.write = base::ErrnoStatus(ENOSPC, "audit.jsonl")});
  EXPECT_THAT(log->Append(Request()), StatusIs(StatusCode::kResourceExhausted));
  EXPECT_THAT(log->Append(Request()), StatusIs(StatusCode::kResourceExhausted));
  ExpectIntact(1);
  disk_.Set({});
  EXPECT_EQ(log->Append(Request()).value(), 2u);
  ExpectIntact(2);
}

TEST_F(AuditLog, CutsAShortWriteBack) {
  auto log = OpenFaulty();
  ASSERT_THAT(log->Append(Request()), IsOk());
  const std::string before = directory_.Text();
  for (const std::size_t taken : {std::size_t{0}, std::size_t{1}, std::size_t{100}}) {
    disk_.Set({.take_only = taken});
    EXPECT_THAT(log->Append(Request()), StatusIs(StatusCode::kUnavailable));
    EXPECT_EQ(directory_.Text(), before);
  }
  disk_.Set({});
  EXPECT_EQ(log->Append(Request()).value(), 2u);
  ExpectIntact(2);
}

TEST_F(AuditLog, WritesNothingBehindATornRecordThatItCouldNotCut) {
  auto log = OpenFaulty();
  ASSERT_THAT(log->Append(Request()), IsOk());
  disk_.Set({.write = base::ErrnoStatus(EIO, "audit.jsonl"),
             .take_only = 50,
             .truncate = base::ErrnoStatus(EIO, "audit.jsonl")});
  EXPECT_THAT(log->Append(Request()), StatusIs(StatusCode::kUnavailable));
  const std::string torn = directory_.Text();
  // Writing would work again, but not behind the torn bytes.
  disk_.Set({.truncate = base::ErrnoStatus(EIO, "audit.jsonl")});
  EXPECT_THAT(log->Append(Request()), StatusIs(StatusCode::kUnavailable));
  EXPECT_EQ(directory_.Text(), torn);
  disk_.Set({});
  EXPECT_EQ(log->Append(Request()).value(), 2u);
  ExpectIntact(2);
}

TEST_F(AuditLog, IsClosedForGoodByAFailedSync) {
  auto log = OpenFaulty();
  ASSERT_THAT(log->Append(Request()), IsOk());
  ASSERT_THAT(log->Sync(), IsOk());
  disk_.Set({.sync = base::ErrnoStatus(EIO, "audit.jsonl")});
  ASSERT_THAT(log->Append(Request()), IsOk());
  EXPECT_THAT(log->Sync(), StatusIs(StatusCode::kUnavailable));
  disk_.Set({});
  EXPECT_THAT(log->Append(Request()), StatusIs(StatusCode::kUnavailable));
  EXPECT_THAT(log->Sync(), StatusIs(StatusCode::kUnavailable));
  log.reset();
  EXPECT_EQ(Open()->Append(Request()).value(), 3u);
  ExpectIntact(3);
}

TEST_F(AuditLog, NamesTheRecordThatItsFileEndsIn) {
  auto log = Open();
  EXPECT_EQ(log->Head().seq, 0u);
  for (std::uint64_t seq = 1; seq <= 3; ++seq) {
    ASSERT_THAT(log->Append(Request()), IsOk());
    EXPECT_EQ(log->Head().seq, seq);
    EXPECT_EQ(log->Head().hash, Verify(directory_.path())->head);
  }
  const std::string head = log->Head().hash;
  log.reset();
  EXPECT_EQ(Open()->Head().hash, head);
  EXPECT_EQ(Open()->directory(), directory_.path());
}

TEST_F(AuditLog, SaysInItsHealthWhyItCannotRecord) {
  auto log = OpenFaulty();
  EXPECT_THAT(log->Health(), IsOk());
  disk_.Set({.write = base::ErrnoStatus(ENOSPC, "audit.jsonl")});
  EXPECT_THAT(log->Append(Request()), StatusIs(StatusCode::kResourceExhausted));
  EXPECT_THAT(log->Health(), StatusIs(StatusCode::kResourceExhausted));
  disk_.Set({});
  ASSERT_THAT(log->Append(Request()), IsOk());
  EXPECT_THAT(log->Health(), IsOk());
  disk_.Set({.sync = base::ErrnoStatus(EIO, "audit.jsonl")});
  (void)log->Append(Request());
  EXPECT_THAT(log->Sync(), StatusIs(StatusCode::kUnavailable));
  disk_.Set({});
  EXPECT_THAT(log->Health(), StatusSays(StatusCode::kUnavailable, "not synced"));
}

TEST_F(AuditLog, DoesNotTakeItsOwnTornBytesForAChangeUnderneath) {
  auto log = OpenFaulty();
  ASSERT_THAT(log->Append(Request()), IsOk());
  disk_.Set({.write = base::ErrnoStatus(EIO, "audit.jsonl"),
             .take_only = 50,
             .truncate = base::ErrnoStatus(EIO, "audit.jsonl")});
  EXPECT_THAT(log->Append(Request()), StatusIs(StatusCode::kUnavailable));
  EXPECT_THAT(log->Sync(), IsOk());
  disk_.Set({});
  EXPECT_EQ(log->Append(Request()).value(), 2u);
  EXPECT_THAT(log->Sync(), IsOk());
  ExpectIntact(2);
}

TEST_F(AuditLog, SetsATornEndAsideAndRecordsThat) {
  Write(2);
  const std::string whole = directory_.Text();
  const std::size_t last = whole.find('\n') + 1;
  for (std::size_t kept = last + 1; kept < whole.size(); kept += 41) {
    directory_.Replace(whole.substr(0, kept));
    Open();
    const auto lines = directory_.Text();
    ExpectIntact(2);
    ASSERT_NE(lines.find("audit_recovered"), std::string::npos);
    ASSERT_EQ(base::ReadFile(TornPath(directory_.path(), 2)).value(),
              whole.substr(last, kept - last));
    ASSERT_EQ(unlink(TornPath(directory_.path(), 2).c_str()), 0);
  }
}

TEST_F(AuditLog, RecoversFromATornFirstRecord) {
  Write(1);
  directory_.Replace(directory_.Text().substr(0, 30));
  EXPECT_EQ(Open()->last_seq(), 1u);
  ExpectIntact(1);
}

TEST_F(AuditLog, TakesBlocksOfZerosAtTheEndForTorn) {
  Write(2);
  directory_.Replace(directory_.Text() + std::string(5000, '\0') + "\n");
  EXPECT_EQ(Open()->last_seq(), 3u);
  ExpectIntact(3);
}

TEST_F(AuditLog, RecordsARecoveryThatWasItselfInterrupted) {
  Write(2);
  // As after the cut, before the record.
  ASSERT_THAT(base::WriteFileAtomically(TornPath(directory_.path(), 3), "torn", 0600), IsOk());
  EXPECT_EQ(Open()->last_seq(), 3u);
  EXPECT_EQ(Open()->last_seq(), 3u);
  EXPECT_NE(directory_.Text().find("4 torn bytes"), std::string::npos);
  ExpectIntact(3);
}

TEST_F(AuditLog, KeepsBothTornEndsOfTwoCrashesAtOnePlace) {
  Write(2);
  ASSERT_THAT(base::WriteFileAtomically(TornPath(directory_.path(), 3), "first", 0600), IsOk());
  directory_.Replace(directory_.Text() + "second");
  Open();
  EXPECT_EQ(base::ReadFile(TornPath(directory_.path(), 3)).value(), "firstsecond");
  ExpectIntact(3);
}

TEST_F(AuditLog, DoesNotOpenOverABrokenChain) {
  Write(4);
  std::string text = directory_.Text();
  text.replace(text.find("GET"), 3, "PUT");
  directory_.Replace(text);
  EXPECT_THAT(Log::Open(directory_.path(), "lab", clock_),
              StatusSays(StatusCode::kFailedPrecondition, "audit verify"));
  EXPECT_EQ(directory_.Text(), text);
  directory_.Replace("garbage\n");
  EXPECT_THAT(Log::Open(directory_.path(), "lab", clock_),
              StatusIs(StatusCode::kFailedPrecondition));
}

TEST_F(AuditLog, LooksOnlyAtTheTailWhenItOpens) {
  const std::string path = "/" + std::string(4000, 'x');
  {
    auto log = Open();
    for (std::size_t bytes = 0; bytes < kTailBytes + (1U << 20); bytes += 4000) {
      ASSERT_THAT(log->Append(Request(path)), IsOk());
    }
  }
  std::string text = directory_.Text();
  const std::uint64_t records = Open()->last_seq();
  text.replace(text.find("GET"), 3, "PUT");  // far in front
  directory_.Replace(text);
  EXPECT_EQ(Open()->last_seq(), records);
  EXPECT_EQ(Verify(directory_.path())->first_bad_line, 1u);
  // No record in the whole tail.
  directory_.Replace(text.substr(0, 5000) + std::string(kTailBytes + 1, 'x'));
  EXPECT_THAT(Log::Open(directory_.path(), "lab", clock_),
              StatusIs(StatusCode::kFailedPrecondition));
}

TEST_F(AuditLog, SurvivesKillsWithEveryAcknowledgedRecord) {
  std::uint64_t records = 0;
  for (int round = 0; round < 50; ++round) {
    int acknowledged[2];
    ASSERT_EQ(pipe2(acknowledged, O_CLOEXEC), 0);
    base::UniqueFd reader(acknowledged[0]);
    base::UniqueFd writer(acknowledged[1]);
    // A small pipe, so that the child is soon waiting for us and the log stays short.
    ASSERT_GE(fcntl(writer.get(), F_SETPIPE_SZ, 4096), 0);
    const pid_t child = fork();
    if (child == 0) {
      auto log = Log::Open(directory_.path(), "lab", clock_);
      const std::string path(static_cast<std::size_t>(1 + round % 5 * 900), 'x');
      while (log.ok()) {
        const auto seq = (*log)->Append(Request(path));
        if (!seq.ok() || write(writer.get(), &*seq, sizeof(*seq)) != sizeof(*seq)) break;
      }
      _exit(1);
    }
    writer.Reset();
    std::uint64_t last = 0;
    for (int i = 0; i <= round; ++i) {
      ASSERT_EQ(read(reader.get(), &last, sizeof(last)), static_cast<ssize_t>(sizeof(last)));
    }
    kill(child, SIGKILL);
    ASSERT_EQ(waitpid(child, nullptr, 0), child);
    while (read(reader.get(), &last, sizeof(last)) == sizeof(last)) {
    }
    ASSERT_GT(last, records);
    records = Open()->last_seq();
    ASSERT_GE(records, last);
    if (round % 10 == 9) ExpectIntact(records);
  }
}

TEST_F(AuditLog, ExportsRawRecordsFromASeqOn) {
  Write(5);
  std::string lines;
  ASSERT_THAT(
      Export(directory_.path(), 1, [&](std::string_view line) { lines.append(line).append("\n"); }),
      IsOk());
  EXPECT_EQ(lines, directory_.Text());
  std::vector<std::uint64_t> seqs;
  ASSERT_THAT(Export(directory_.path(), 4,
                     [&](std::string_view line) { seqs.push_back(ParseLink(line)->seq); }),
              IsOk());
  EXPECT_EQ(seqs, (std::vector<std::uint64_t>{4, 5}));
}

TEST_F(AuditLog, ExportStopsAtWhatIsNotARecord) {
  Write(1);
  directory_.Replace(directory_.Text() + "garbage\n");
  EXPECT_THAT(Export(directory_.path(), 1, [](std::string_view) {}),
              StatusSays(StatusCode::kDataLoss, "line 2"));
  EXPECT_THAT(Export(directory_.path() + "/none", 1, [](std::string_view) {}),
              StatusIs(StatusCode::kNotFound));
}

TEST_F(AuditLog, VerifySaysThatALogIsAbsentEmptyTornOrShortened) {
  EXPECT_FALSE(Verify(directory_.path())->intact);
  Open();
  EXPECT_FALSE(Verify(directory_.path())->intact);
  Write(3);
  const std::string text = directory_.Text();
  const std::string head = Verify(directory_.path())->head;
  EXPECT_TRUE(Verify(directory_.path(), head)->intact);
  directory_.Replace(text.substr(0, text.size() - 5));
  EXPECT_EQ(Verify(directory_.path())->first_bad_line, 3u);
  directory_.Replace(text.substr(0, text.find('\n') + 1));
  EXPECT_TRUE(Verify(directory_.path())->intact);
  EXPECT_EQ(Verify(directory_.path(), head)->first_bad_line, 2u);
  directory_.Replace(std::string(1U << 20, 'x'));
  EXPECT_EQ(Verify(directory_.path())->first_bad_line, 1u);
}

}  // namespace
}  // namespace exeat::audit
