#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <cerrno>

#include "audit/chain.h"
#include "audit/log.h"
#include "audit/log_file.h"
#include "audit/record.h"
#include "base/fd.h"
#include "fmt/format.h"

namespace exeat::audit {
namespace {

using base::Status;
using base::StatusCode;
using base::StatusOr;

enum class Next { kLine, kEnd, kTorn, kTooLong };

// Reads a log line by line in bounded memory, up to where it ended when it was opened: a writer may
// be faster than the reader.
class LineReader {
 public:
  static StatusOr<LineReader> Open(const std::string& path) {
    base::UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat info{};
    if (!fd.valid() || fstat(fd.get(), &info) != 0) return base::ErrnoStatus(errno, path);
    return LineReader(std::move(fd), path, static_cast<std::uint64_t>(info.st_size));
  }

  // The line is valid until the next call.
  StatusOr<Next> Read(std::string_view& line) {
    if (consumed_ >= size_) return Next::kEnd;
    for (int waits = 0;;) {
      const std::size_t end = buffer_.find('\n', searched_);
      if (end != std::string::npos) {
        line = std::string_view(buffer_).substr(start_, end - start_);
        consumed_ += line.size() + 1;
        start_ = searched_ = end + 1;
        return Next::kLine;
      }
      buffer_.erase(0, start_);
      start_ = 0;
      searched_ = buffer_.size();
      if (buffer_.size() > kMaxRecordBytes) return Next::kTooLong;
      ASSIGN_OR_RETURN(const bool more, Fill());
      if (more) continue;
      if (buffer_.empty()) return Next::kEnd;
      // A record that is just being written may be seen in part.
      if (++waits > kWaitsForTheWriter) return Next::kTorn;
      poll(nullptr, 0, kWaitMs);
    }
  }

 private:
  static constexpr int kWaitsForTheWriter = 10;
  static constexpr int kWaitMs = 5;
  static constexpr std::size_t kChunk = 256U << 10;

  LineReader(base::UniqueFd fd, std::string path, std::uint64_t size)
      : fd_(std::move(fd)), path_(std::move(path)), size_(size) {}

  // False at the end of the file.
  StatusOr<bool> Fill() {
    const std::size_t before = buffer_.size();
    buffer_.resize(before + kChunk);
    ssize_t got = -1;
    do {
      got = read(fd_.get(), buffer_.data() + before, kChunk);
    } while (got < 0 && errno == EINTR);
    const int error = errno;
    buffer_.resize(before + static_cast<std::size_t>(got < 0 ? 0 : got));
    if (got < 0) return base::ErrnoStatus(error, path_);
    return got > 0;
  }

  base::UniqueFd fd_;
  std::string path_;
  std::uint64_t size_;
  std::uint64_t consumed_ = 0;
  std::string buffer_;
  std::size_t start_ = 0;     // of the next line
  std::size_t searched_ = 0;  // no newline before this
};

}  // namespace

StatusOr<Verdict> Verify(const std::string& directory, const std::string& expected_head,
                         const std::vector<HeadRecord>& written) {
  StatusOr<LineReader> reader = LineReader::Open(LogPath(directory));
  if (reader.status().code() == StatusCode::kNotFound) {
    Verdict verdict;
    verdict.first_bad_line = 1;
    verdict.problem = "there is no audit log at " + LogPath(directory);
    return verdict;
  }
  RETURN_IF_ERROR(reader.status());
  ChainWalk walk;
  walk.Expect(written);
  while (true) {
    std::string_view line;
    ASSIGN_OR_RETURN(const Next next, reader->Read(line));
    if (next == Next::kTorn) walk.Tear("does not end: it is torn");
    if (next == Next::kTooLong) walk.Tear("is longer than a record can be");
    if (next != Next::kLine || !walk.Take(line)) return walk.Finish(expected_head);
  }
}

Status Export(const std::string& directory, std::uint64_t from_seq,
              const std::function<void(std::string_view line)>& line) {
  ASSIGN_OR_RETURN(LineReader reader, LineReader::Open(LogPath(directory)));
  for (std::uint64_t number = 1;; ++number) {
    std::string_view text;
    ASSIGN_OR_RETURN(const Next next, reader.Read(text));
    // What is torn at the end was never acknowledged.
    if (next == Next::kEnd || next == Next::kTorn) return absl::OkStatus();
    const auto link = ParseLink(text);
    if (next == Next::kTooLong || !link) {
      return base::MakeStatus(
          StatusCode::kDataLoss,
          fmt::format("{}: line {} is not a record; look with: exeat audit verify",
                      LogPath(directory), number));
    }
    if (link->seq >= from_seq) line(text);
  }
}

}  // namespace exeat::audit
