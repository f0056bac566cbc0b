// SPDX-License-Identifier: AGPL-3.0-only
// The small text files by which a cgroup is read and steered, always through the descriptor of its
// folder: paths may show something else, or nothing, once runnerd has gone into its private view.
// Safe from any thread.
#ifndef AUSPEX_COMMON_CGROUP_CONTROL_FILE_H_
#define AUSPEX_COMMON_CGROUP_CONTROL_FILE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace auspex {

// Writes `text` in one call, as the kernel wants it. An ErrnoStatus with the file's name; the
// caller can tell causes apart by `error` (0 on success) where it must.
absl::Status WriteControl(int folder, const char* name, std::string_view text,
                          int* error = nullptr);
// The whole file, at most 1 MiB.
absl::StatusOr<std::string> ReadControl(int folder, const char* name);
bool HasControl(int folder, const char* name);

// The number after `key` in lines of "key value"; nullopt when it is not there.
std::optional<uint64_t> KeyedValue(std::string_view text, std::string_view key);
// The words of a text, parted by blanks, tabs and line feeds.
std::vector<std::string> Words(std::string_view text);

}  // namespace auspex

#endif  // AUSPEX_COMMON_CGROUP_CONTROL_FILE_H_
