// A directory for a log, gone with its contents at the end.
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "audit/log_file.h"
#include "base/file.h"

namespace exeat::audit {

class LogDirectory {
 public:
  LogDirectory() {
    if (mkdtemp(path_.data()) == nullptr) abort();
  }
  ~LogDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  LogDirectory(const LogDirectory&) = delete;
  LogDirectory& operator=(const LogDirectory&) = delete;

  const std::string& path() const { return path_; }
  std::string Text() const { return base::ReadFile(LogPath(path_)).value(); }
  void Replace(const std::string& text) const {
    if (!base::WriteFileAtomically(LogPath(path_), text, 0600).ok()) abort();
  }

 private:
  std::string path_ = std::filesystem::temp_directory_path() / "exeat-audit-XXXXXX";
};

}  // namespace exeat::audit
