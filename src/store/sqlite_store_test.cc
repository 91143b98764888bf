#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "base/fd.h"
#include "base/file.h"
#include "base/testing/status_matchers.h"
#include "fmt/format.h"
#include "gtest/gtest.h"
#include "store/migrations.h"
#include "store/sqlite.h"
#include "store/store.h"
#include "store/testing/private_directory.h"

namespace exeat::store {
namespace {

using base::IsOk;
using base::StatusCode;
using base::StatusIs;
using base::StatusSays;

constexpr SqliteOptions kImpatient{.busy_timeout = std::chrono::milliseconds(20)};

class SqliteStore : public testing::Test {
 protected:
  std::unique_ptr<Store> Open() {
    auto store = OpenSqlite(path_, kImpatient);
    EXPECT_THAT(store, IsOk());
    return store.ok() ? std::move(store).value() : nullptr;
  }
  // A second connection, as another program would have.
  std::unique_ptr<Database> Raw() {
    return Database::Open(path_, std::chrono::milliseconds(20)).value();
  }
  static SessionRow Session(const std::string& sid) { return {sid, "build", "j", {"g"}, 1, 2000}; }
  void FillWithSessions(int count) {
    auto store = Open();
    for (int i = 0; i < count; ++i) {
      ASSERT_THAT(store->InsertSession(Session(fmt::format("s{:04}", i))), IsOk());
    }
  }

  PrivateDirectory directory_;
  std::string path_ = directory_.path() + "/exeat.db";
};

TEST_F(SqliteStore, MakesAFileThatOnlyItsOwnerMayRead) {
  const mode_t before = umask(0);
  auto store = Open();
  ASSERT_THAT(store->InsertSession(Session("a")), IsOk());
  umask(before);
  for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
    struct stat info{};
    ASSERT_EQ(lstat(entry.path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0600) << entry.path();
  }
}

TEST_F(SqliteStore, SyncsEveryCommitOfTheWriteAheadLog) {
  auto store = Open();
  auto raw = Raw();
  EXPECT_EQ(raw->QueryText("PRAGMA journal_mode").value(), "wal");
  EXPECT_EQ(raw->QueryNumber("PRAGMA synchronous").value(), 2);
}

TEST_F(SqliteStore, RefusesADirectoryThatOthersMayEnter) {
  ASSERT_EQ(chmod(directory_.path().c_str(), 0755), 0);
  EXPECT_THAT(OpenSqlite(path_), StatusSays(StatusCode::kFailedPrecondition, "chmod 700"));
  EXPECT_THAT(OpenSqlite(directory_.path() + "/none/exeat.db"), StatusIs(StatusCode::kNotFound));
}

TEST_F(SqliteStore, RefusesAFileThatOthersMayRead) {
  Open();
  ASSERT_EQ(chmod(path_.c_str(), 0640), 0);
  EXPECT_THAT(OpenSqlite(path_), StatusSays(StatusCode::kFailedPrecondition, "chmod 600"));
}

TEST_F(SqliteStore, RefusesALink) {
  Open();
  ASSERT_EQ(rename(path_.c_str(), (path_ + ".real").c_str()), 0);
  ASSERT_EQ(symlink((path_ + ".real").c_str(), path_.c_str()), 0);
  EXPECT_THAT(OpenSqlite(path_), StatusIs(StatusCode::kFailedPrecondition));
}

TEST_F(SqliteStore, RefusesANewerSchemaAndNamesBothVersions) {
  Open();
  ASSERT_THAT(Raw()->Execute("PRAGMA user_version=99"), IsOk());
  EXPECT_THAT(OpenSqlite(path_), StatusSays(StatusCode::kFailedPrecondition, "version 99"));
  EXPECT_THAT(OpenSqlite(path_),
              StatusSays(StatusCode::kFailedPrecondition, fmt::format("up to {}", NewestSchema())));
}

TEST_F(SqliteStore, RefusesTheDatabaseOfAnotherProgramAndLeavesItAlone) {
  {
    std::ofstream made(path_);
  }
  ASSERT_EQ(chmod(path_.c_str(), 0600), 0);
  ASSERT_THAT(Raw()->Execute("CREATE TABLE theirs (x)"), IsOk());
  const std::string before = base::ReadFile(path_).value();
  EXPECT_THAT(OpenSqlite(path_), StatusSays(StatusCode::kFailedPrecondition, "not a database of"));
  EXPECT_EQ(base::ReadFile(path_).value(), before);
}

TEST_F(SqliteStore, TakesAnEmptyFileForDamageAndNotForANewStart) {
  Open();
  ASSERT_EQ(truncate(path_.c_str(), 0), 0);
  EXPECT_THAT(OpenSqlite(path_), StatusSays(StatusCode::kUnavailable, "exeat.db"));
}

TEST_F(SqliteStore, RefusesATruncatedDatabaseWithARemedy) {
  FillWithSessions(400);
  const auto size = static_cast<off_t>(std::filesystem::file_size(path_));
  ASSERT_GT(size, 16384);
  for (const off_t kept : {off_t{50}, off_t{4096}, size / 2, size - 4096}) {
    std::filesystem::copy_file(path_, path_ + ".whole",
                               std::filesystem::copy_options::overwrite_existing);
    ASSERT_EQ(truncate(path_.c_str(), kept), 0);
    EXPECT_THAT(OpenSqlite(path_), StatusSays(StatusCode::kUnavailable, "restore")) << kept;
    std::filesystem::rename(path_ + ".whole", path_);
  }
  Open();
}

TEST_F(SqliteStore, RefusesADatabaseWithADamagedPageInside) {
  FillWithSessions(400);
  std::string content = base::ReadFile(path_).value();
  const std::size_t page = content.size() / 4096 / 2 * 4096;
  content.replace(page, 4096, std::string(4096, '\xAA'));
  ASSERT_THAT(base::WriteFileAtomically(path_, content, 0600), IsOk());
  EXPECT_THAT(OpenSqlite(path_), StatusSays(StatusCode::kUnavailable, "damaged"));
}

TEST_F(SqliteStore, RefusesAFileThatIsNotADatabase) {
  std::ofstream(path_) << std::string(8192, 'x');
  ASSERT_EQ(chmod(path_.c_str(), 0600), 0);
  EXPECT_THAT(OpenSqlite(path_), StatusSays(StatusCode::kUnavailable, "damaged"));
}

TEST_F(SqliteStore, SaysUnavailableWhileAnotherProcessHoldsTheWriteLockAndRecovers) {
  auto store = Open();
  auto raw = Raw();
  ASSERT_THAT(raw->Execute("BEGIN IMMEDIATE"), IsOk());
  EXPECT_THAT(store->InsertSession(Session("a")), StatusSays(StatusCode::kUnavailable, "locked"));
  EXPECT_THAT(store->Prune(5000), StatusSays(StatusCode::kUnavailable, "locked"));
  EXPECT_THAT(store->FindSession("a"), StatusIs(StatusCode::kNotFound));  // reads go on
  ASSERT_THAT(raw->Execute("ROLLBACK"), IsOk());
  EXPECT_THAT(store->InsertSession(Session("a")), IsOk());
}

TEST_F(SqliteStore, RefusesARevocationItCannotUnderstandInsteadOfSkippingIt) {
  auto store = Open();
  ASSERT_THAT(Raw()->Execute("INSERT INTO revocation VALUES (77, 'x', '', 1, 0)"), IsOk());
  EXPECT_THAT(store->ListRevocations(), StatusIs(StatusCode::kUnavailable));
}

TEST_F(SqliteStore, LeavesNothingBehindWhenItIsMade) {
  Open();
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
    EXPECT_EQ(entry.path().filename(), "exeat.db");
    ++files;
  }
  EXPECT_EQ(files, 1);
}

// Runs `body` in a child and returns its exit status.
int RunForked(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(SqliteStore, SaysPermissionDeniedInADirectoryItMayNotWrite) {
  // Root writes everywhere, so the child gives that up first.
  const uid_t user = geteuid() == 0 ? 65534 : geteuid();
  ASSERT_EQ(chown(directory_.path().c_str(), user, static_cast<gid_t>(-1)), 0);
  ASSERT_EQ(chmod(directory_.path().c_str(), 0500), 0);
  EXPECT_EQ(RunForked([&] {
              if (setresuid(user, user, user) != 0) return 2;
              const auto store = OpenSqlite(path_, kImpatient);
              return store.status().code() == StatusCode::kPermissionDenied ? 0 : 1;
            }),
            0);
  ASSERT_EQ(chmod(directory_.path().c_str(), 0700), 0);
}

TEST_F(SqliteStore, KeepsWhatItAcknowledgedWhenTheDiskIsFull) {
  Open();
  int acknowledged[2];
  ASSERT_EQ(pipe2(acknowledged, O_CLOEXEC), 0);
  base::UniqueFd reader(acknowledged[0]);
  base::UniqueFd writer(acknowledged[1]);
  EXPECT_EQ(RunForked([&] {
              signal(SIGXFSZ, SIG_IGN);
              const rlimit limit{200'000, 200'000};
              auto store = OpenSqlite(path_, kImpatient);
              if (!store.ok() || setrlimit(RLIMIT_FSIZE, &limit) != 0) return 2;
              for (int i = 0; i < 2000; ++i) {
                const auto inserted = (*store)->InsertSession(Session(std::to_string(i)));
                if (!inserted.ok()) return inserted.code() == StatusCode::kUnavailable ? 0 : 3;
                if (write(writer.get(), "x", 1) != 1) return 4;
              }
              return 5;
            }),
            0);
  writer.Reset();
  char buffer[4096];
  const ssize_t count = read(reader.get(), buffer, sizeof(buffer));
  ASSERT_GT(count, 10);
  EXPECT_EQ(Open()->ListSessions(0).value().size(), static_cast<std::size_t>(count));
}

TEST_F(SqliteStore, KeepsNothingOfABulkThatFillsTheDisk) {
  ASSERT_THAT(Open()->PutRevocation({RevokedKind::kSession, "before", "", 1, 0}), IsOk());
  EXPECT_EQ(RunForked([&] {
              signal(SIGXFSZ, SIG_IGN);
              const rlimit limit{500'000, 500'000};
              auto store = OpenSqlite(path_, kImpatient);
              if (!store.ok() || setrlimit(RLIMIT_FSIZE, &limit) != 0) return 2;
              std::vector<RevocationRow> rows;
              for (int i = 0; i < 20'000; ++i) {
                rows.push_back({RevokedKind::kSession, std::to_string(i), "", 1, 0});
              }
              const auto put = (*store)->PutRevocations(rows);
              if (put.status().code() != StatusCode::kUnavailable) return 3;
              // What fits is taken again at once.
              return (*store)->PutRevocations(std::span(rows).first(1)).ok() ? 0 : 4;
            }),
            0);
  auto store = Open();
  EXPECT_EQ(store->ListRevocations().value().size(), 2U);
  EXPECT_EQ(store->ReadAll(0, {}).value().seq, 2U);
}

TEST_F(SqliteStore, SaysThatTheDiskIsFull) {
  Open();
  auto raw = Raw();
  ASSERT_THAT(raw->Execute("PRAGMA max_page_count=20"), IsOk());
  EXPECT_THAT(raw->Execute("INSERT INTO session VALUES ('s', zeroblob(1) || hex(zeroblob(90000)), "
                           "'', '[]', 1, 1)"),
              StatusSays(StatusCode::kUnavailable, "disk is full"));
}

TEST_F(SqliteStore, SaysUnavailableWhileAnotherProcessIsWriting) {
  auto store = Open();
  int locked[2];
  int release[2];
  ASSERT_EQ(pipe2(locked, O_CLOEXEC), 0);
  ASSERT_EQ(pipe2(release, O_CLOEXEC), 0);
  char byte = 0;
  const pid_t child = fork();
  if (child == 0) {
    close(release[1]);
    auto raw = Database::Open(path_, std::chrono::milliseconds(20)).value();
    if (!raw->Execute("BEGIN IMMEDIATE").ok() || write(locked[1], "x", 1) != 1) _exit(1);
    _exit(static_cast<int>(read(release[0], &byte, 1)));
  }
  ASSERT_EQ(read(locked[0], &byte, 1), 1);
  const RevocationRow row{RevokedKind::kSession, "a", "", 1, 0};
  EXPECT_THAT(store->PutRevocation(row), StatusSays(StatusCode::kUnavailable, "locked"));
  close(release[1]);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_THAT(store->PutRevocation(row), IsOk());
  for (const int fd : {locked[0], locked[1], release[0]}) close(fd);
}

TEST_F(SqliteStore, KeepsRevocationsWhenAnOlderSchemaIsBroughtForward) {
  Open();
  ASSERT_THAT(Raw()->Execute("DROP TABLE change; DROP TABLE public_key; DROP TABLE revocation; "
                             "CREATE TABLE revocation ("
                             "kind INTEGER NOT NULL, id TEXT NOT NULL, reason TEXT NOT NULL, "
                             "revoked_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, "
                             "PRIMARY KEY (kind, id)) STRICT; INSERT INTO revocation VALUES "
                             "(2, 'alice', 'left', 5, 0), (3, '', 'all', 6, 0); "
                             "PRAGMA user_version=1"),
              IsOk());
  auto store = Open();
  EXPECT_EQ(Raw()->QueryNumber("PRAGMA user_version").value(), NewestSchema());
  EXPECT_EQ(store->ListRevocations().value(),
            (std::vector<RevocationRow>{{RevokedKind::kSubject, "alice", "left", 5, 0},
                                        {RevokedKind::kAll, "", "all", 6, 0}}));
  EXPECT_EQ(store->PutRevocations(std::vector<RevocationRow>{{.id = "x"}}).value(), 1U);
}

TEST_F(SqliteStore, RefusesAChangeItCannotUnderstand) {
  auto store = Open();
  ASSERT_THAT(Raw()->Execute("INSERT INTO change VALUES (1, 9, 0, '', '', 0, 0, 0)"), IsOk());
  Position start = store->ReadAll(0, {}).value();
  start.seq = 0;
  EXPECT_THAT(store->ChangesAfter(start, 10), StatusIs(StatusCode::kUnavailable));
}

// Puts a bulk of three in a child that is killed as soon as it has acknowledged it.
void PutAndBeKilled(const std::string& path, int round) {
  int acknowledged[2];
  ASSERT_EQ(pipe2(acknowledged, O_CLOEXEC), 0);
  base::UniqueFd reader(acknowledged[0]);
  base::UniqueFd writer(acknowledged[1]);
  const pid_t child = fork();
  if (child == 0) {
    auto store = OpenSqlite(path);
    std::vector<RevocationRow> rows;
    for (const char part : {'a', 'b', 'c'}) {
      rows.push_back({RevokedKind::kSession, fmt::format("{}{}", round, part), "", round, 0});
    }
    if (store.ok() && (*store)->PutRevocations(rows).ok()) {
      if (write(writer.get(), "x", 1) == 1) pause();
    }
    _exit(1);
  }
  writer.Reset();
  char byte = 0;
  ASSERT_EQ(read(reader.get(), &byte, 1), 1);
  kill(child, SIGKILL);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
}

TEST_F(SqliteStore, SurvivesAThousandKillsRightAfterTheAcknowledgement) {
  constexpr int kRounds = 1000;
  for (int round = 0; round < kRounds; ++round) {
    ASSERT_NO_FATAL_FAILURE(PutAndBeKilled(path_, round));
    if (round % 50 != 49) continue;
    auto store = Open();
    ASSERT_EQ(store->ListRevocations().value().size(), static_cast<std::size_t>(round + 1) * 3);
    ASSERT_EQ(store->ReadAll(0, {}).value().seq, static_cast<std::uint64_t>(round + 1) * 3);
  }
}

}  // namespace
}  // namespace exeat::store
