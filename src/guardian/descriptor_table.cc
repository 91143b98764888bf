#include "guardian/descriptor_table.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <string_view>
#include <utility>

#include "fmt/format.h"

namespace exeat::guardian {
namespace {

using base::ErrnoStatus;
using base::MakeStatus;
using base::StatusCode;
using base::StatusOr;
using base::UniqueFd;

}  // namespace

StatusOr<DescriptorTable> DescriptorTable::Open(pid_t child) {
  UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, child, 0)));
  if (!pidfd.valid()) return ErrnoStatus(errno, "pidfd_open");
  const std::string path = fmt::format("/proc/{}", child);
  UniqueFd proc(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!proc.valid()) return ErrnoStatus(errno, path);
  return DescriptorTable(std::move(pidfd), std::move(proc));
}

StatusOr<UniqueFd> DescriptorTable::Duplicate(int number) const {
  UniqueFd duplicate(static_cast<int>(syscall(SYS_pidfd_getfd, child_.get(), number, 0)));
  if (duplicate.valid()) return duplicate;
  if (errno == EBADF) return MakeStatus(StatusCode::kNotFound, "no such descriptor");
  return ErrnoStatus(errno, "pidfd_getfd");
}

StatusOr<int> DescriptorTable::Size() const {
  constexpr std::string_view kField = "\nFDSize:\t";
  UniqueFd status(openat(proc_.get(), "status", O_RDONLY | O_CLOEXEC));
  if (!status.valid()) return ErrnoStatus(errno, "status of the child");
  std::array<char, 4096> buffer{};
  const ssize_t got = read(status.get(), buffer.data(), buffer.size());
  if (got < 0) return ErrnoStatus(errno, "status of the child");
  const std::string_view text(buffer.data(), static_cast<std::size_t>(got));
  const std::size_t at = text.find(kField);
  int size = 0;
  if (at == std::string_view::npos ||
      std::from_chars(text.data() + at + kField.size(), text.data() + text.size(), size).ec !=
          std::errc()) {
    return MakeStatus(StatusCode::kUnavailable, "status of the child: no FDSize");
  }
  return size;
}

bool DescriptorTable::Ended() const {
  pollfd wait{child_.get(), POLLIN, 0};
  return poll(&wait, 1, 0) == 1;
}

}  // namespace exeat::guardian
