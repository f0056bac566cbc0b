// SPDX-License-Identifier: AGPL-3.0-only
// ImportFile: the owner's key file, put where keyd takes it from. The kernel copies the octets from
// file to file, so that the seed is never in the command's memory. keyd wipes and removes the copy;
// one that keyd never heard of is removed by the destructor. One thread.
#ifndef AUSPEX_CLI_IMPORT_FILE_H_
#define AUSPEX_CLI_IMPORT_FILE_H_

#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace auspex::cli {

class ImportFile {
 public:
  // Copies `source`, a regular file of at most 4096 octets, to `<state_dir>/import.key`, mode 0600,
  // owned by the folder's owner. ALREADY_EXISTS when another import is under way.
  static absl::StatusOr<ImportFile> Place(const std::string& source, const std::string& state_dir);

  ImportFile(ImportFile&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ImportFile& operator=(ImportFile&&) = delete;
  ~ImportFile();

 private:
  explicit ImportFile(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_IMPORT_FILE_H_
