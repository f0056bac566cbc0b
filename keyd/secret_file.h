// SPDX-License-Identifier: AGPL-3.0-only
// Files that hold secrets: read into memory that nobody else reads, and removed so that as little
// as possible stays behind. Stateless; errors name the file.
#ifndef AUSPEX_KEYD_SECRET_FILE_H_
#define AUSPEX_KEYD_SECRET_FILE_H_

#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "keyd/secret_memory.h"

namespace auspex::keyd {

// Whether anything is at `path`, a dangling link included.
bool SomethingAt(const std::string& path);

// What was read: the first `size` octets of a page.
struct SecretContent {
  SecretMemory memory;
  size_t size = 0;
  std::span<const unsigned char> octets() const { return memory.octets().first(size); }
};

// The whole file, at most 4096 octets. FAILED_PRECONDITION when it is a link, not a regular file,
// has other names, or belongs neither to this user nor to root; NOT_FOUND when there is none.
absl::StatusOr<SecretContent> ReadSecretFile(const std::string& path);

// Reads `fd` (a pipe) to its end within `timeout_ms`. DEADLINE_EXCEEDED when it does not end.
absl::StatusOr<SecretContent> ReadSecretPipe(int fd, int timeout_ms);

// Overwrites, syncs and removes a regular file of one name, and looks again; other things are only
// removed. Overwriting is best effort on file systems that write in place, and harmless elsewhere.
// OK when there is nothing.
absl::Status OverwriteAndRemove(const std::string& path);
// Overwrites what `fd` refers to and syncs it.
absl::Status Overwrite(int fd, const std::string& path);

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_SECRET_FILE_H_
