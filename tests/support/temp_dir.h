// SPDX-License-Identifier: AGPL-3.0-only
// TempDir: a fresh private directory for one test, removed with everything in it on destruction.
// Not thread-safe.
#ifndef AUSPEX_TESTS_SUPPORT_TEMP_DIR_H_
#define AUSPEX_TESTS_SUPPORT_TEMP_DIR_H_

#include <cstdlib>
#include <filesystem>
#include <string>

namespace auspex::testing {

class TempDir {
 public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "auspex-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    path_ = pattern;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace auspex::testing

#endif  // AUSPEX_TESTS_SUPPORT_TEMP_DIR_H_
