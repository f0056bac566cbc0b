// SPDX-License-Identifier: AGPL-3.0-only
// A folder in memory for targets that need one, emptied between inputs.
#ifndef AUSPEX_TESTS_FUZZ_FOLDER_H_
#define AUSPEX_TESTS_FUZZ_FOLDER_H_

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "common/files/files.h"
#include "tests/fuzz/fuzz.h"

namespace auspex::fuzz {

class Folder {
 public:
  Folder() {
    path_ =
        access("/dev/shm", W_OK) == 0 ? "/dev/shm/auspex-fuzz-XXXXXX" : "/tmp/auspex-fuzz-XXXXXX";
    FUZZ_CHECK(mkdtemp(path_.data()) != nullptr);
  }
  ~Folder() { (void)RemoveTree(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const std::string& path() const { return path_; }
  // An empty folder below it.
  std::string Fresh() const {
    const std::string inner = path_ + "/inner";
    FUZZ_CHECK(RemoveTree(inner).ok());
    FUZZ_CHECK(mkdir(inner.c_str(), 0700) == 0);
    return inner;
  }

 private:
  std::string path_;
};

}  // namespace auspex::fuzz

#endif  // AUSPEX_TESTS_FUZZ_FOLDER_H_
