// A new private directory that goes away with its contents.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>

namespace exeat::store {

class PrivateDirectory {
 public:
  explicit PrivateDirectory(
      const std::filesystem::path& parent = std::filesystem::temp_directory_path())
      : path_(parent / "exeat-test-XXXXXX") {
    if (mkdtemp(path_.data()) == nullptr) abort();
  }
  ~PrivateDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  PrivateDirectory(const PrivateDirectory&) = delete;
  PrivateDirectory& operator=(const PrivateDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace exeat::store
