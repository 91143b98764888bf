#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>

#include "base/fd.h"
#include "base/file.h"
#include "fmt/format.h"
#include "store/migrations.h"
#include "store/sqlite.h"
#include "store/sqlite_store.h"
#include "store/store.h"

namespace exeat::store {
namespace {

using base::ErrnoStatus;
using base::MakeStatus;
using base::Status;
using base::StatusCode;
using base::StatusOr;

std::string DirectoryOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// The directory must be there and private: the write-ahead log and SQLite's own files stand in it.
Status CheckDirectory(const std::string& path) {
  const std::string directory = DirectoryOf(path);
  struct stat info{};
  if (lstat(directory.c_str(), &info) != 0) return ErrnoStatus(errno, directory);
  return base::EnsurePrivateDirectory(directory);
}

// True when a database file stands at `path`; an error when something else does.
StatusOr<bool> CheckFile(const std::string& path) {
  struct stat info{};
  if (lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return false;
    return ErrnoStatus(errno, path);
  }
  if (!S_ISREG(info.st_mode) || info.st_uid != geteuid()) {
    return MakeStatus(StatusCode::kFailedPrecondition,
                      path + ": not a regular file of this user; choose another path");
  }
  if ((info.st_mode & 077) != 0) {
    return MakeStatus(StatusCode::kFailedPrecondition,
                      fmt::format("{}: mode {:04o} lets others in; run: chmod 600 {}", path,
                                  info.st_mode & 07777U, path));
  }
  if (info.st_size == 0) {
    return MakeStatus(StatusCode::kUnavailable,
                      path +
                          ": empty, so what it held is lost; restore it from a backup or remove "
                          "it to start without sessions and revocations");
  }
  return true;
}

Status Configure(const Database& database) {
  ASSIGN_OR_RETURN(const std::string mode, database.QueryText("PRAGMA journal_mode=WAL"));
  if (mode != "wal") {
    return MakeStatus(StatusCode::kUnavailable, "the file system does not allow SQLite's WAL");
  }
  return database.Execute(
      "PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON");
}

// Builds the schema under another name and links it into place complete: a crash on the way leaves
// no half-made database, and so an empty one is always damage.
Status Create(const std::string& path, std::chrono::milliseconds busy_timeout) {
  std::string temporary = path + ".new-XXXXXX";
  {
    base::UniqueFd fd(mkostemp(temporary.data(), O_CLOEXEC));  // mode 0600
    if (!fd.valid()) return ErrnoStatus(errno, path);
  }
  Status made = [&]() -> Status {
    ASSIGN_OR_RETURN(auto database, Database::Open(temporary, busy_timeout));
    return Migrate(*database, /*is_new=*/true, path);
  }();
  // Another process may have been first; its file is as good.
  if (made.ok() && link(temporary.c_str(), path.c_str()) != 0 && errno != EEXIST) {
    made = ErrnoStatus(errno, path);
  }
  unlink(temporary.c_str());
  unlink((temporary + "-journal").c_str());
  RETURN_IF_ERROR(made);
  base::UniqueFd directory(open(DirectoryOf(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid() || fsync(directory.get()) != 0) return ErrnoStatus(errno, path);
  return absl::OkStatus();
}

}  // namespace

StatusOr<std::unique_ptr<Store>> OpenSqlite(const std::string& path, SqliteOptions options) {
  RETURN_IF_ERROR(CheckDirectory(path));
  ASSIGN_OR_RETURN(const bool exists, CheckFile(path));
  if (!exists) RETURN_IF_ERROR(Create(path, options.busy_timeout));
  ASSIGN_OR_RETURN(auto database, Database::Open(path, options.busy_timeout));
  // Before anything is written into a file that may be another program's.
  RETURN_IF_ERROR(Migrate(*database, /*is_new=*/false, path));
  RETURN_IF_ERROR(Configure(*database));
  ASSIGN_OR_RETURN(const std::string check, database->QueryText("PRAGMA quick_check(1)"));
  if (check != "ok") return database->Error(SQLITE_CORRUPT);
  return MakeSqliteStore(std::move(database));
}

}  // namespace exeat::store
