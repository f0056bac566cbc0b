// SPDX-License-Identifier: AGPL-3.0-only
// The marker `<state>/keyd/keystore`: one line that says that the key is in the Secret Service, and
// which one. Without it a keyring that is locked or gone would look like a worker without a key.
//
//   secret-service <64 hex digits of the public key> LF
//
// No file: the key, if there is one, is in the sealed file. Any other content is FAILED_PRECONDITION.
// Calls must not overlap.
#ifndef AUSPEX_KEYD_STORAGE_MARKER_H_
#define AUSPEX_KEYD_STORAGE_MARKER_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace auspex::keyd {

class StorageMarker {
 public:
  explicit StorageMarker(std::string state_dir)
      : state_dir_(std::move(state_dir)), path_(state_dir_ + "/keystore") {}

  const std::string& path() const { return path_; }
  // The public key in hex of the key in the Secret Service; nullopt: there is none.
  absl::StatusOr<std::optional<std::string>> Read() const;
  // Both are durable on return.
  absl::Status Write(const std::string& public_key_hex) const;
  absl::Status Remove() const;

 private:
  std::string state_dir_, path_;
};

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_STORAGE_MARKER_H_
