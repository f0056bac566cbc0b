// SPDX-License-Identifier: AGPL-3.0-only
// A folder of mode 0700 that is gone at the end of the test.
#ifndef AUSPEX_TESTS_COMMON_PLATFORM_TEMP_FOLDER_H_
#define AUSPEX_TESTS_COMMON_PLATFORM_TEMP_FOLDER_H_

#include <stdlib.h>

#include <string>

#include "common/files/files.h"

namespace auspex {

class TempFolder {
 public:
  TempFolder() {
    char name[] = "/tmp/auspex-test-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~TempFolder() { (void)RemoveTree(path_); }
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace auspex

#endif  // AUSPEX_TESTS_COMMON_PLATFORM_TEMP_FOLDER_H_
