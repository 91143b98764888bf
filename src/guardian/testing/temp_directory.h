// A directory of the test's own, gone with it.
#pragma once

#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <system_error>

namespace exeat::guardian {

class TempDirectory {
 public:
  // Others may walk it: what keeps a confined child out must not be this mode.
  TempDirectory() {
    path_ = "/tmp/exeat-test-XXXXXX";
    if (mkdtemp(path_.data()) == nullptr) path_.clear();
    chmod(path_.c_str(), 0755);
  }
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;
  ~TempDirectory() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace exeat::guardian
