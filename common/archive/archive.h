// SPDX-License-Identifier: AGPL-3.0-only
// Packages as archives: reads and writes gzip-compressed tar (coordinator 13.3) in memory, under
// limits that are checked while reading. Only regular files and directories with paths that stay
// inside are taken; nothing here touches a file system. Pure functions, any thread.
#ifndef AUSPEX_COMMON_ARCHIVE_ARCHIVE_H_
#define AUSPEX_COMMON_ARCHIVE_ARCHIVE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace auspex {

struct ArchiveLimits {
  uint64_t max_unpacked_octets = 256ull * 1024 * 1024;  // all members together
  uint64_t max_member_octets = 256ull * 1024 * 1024;
  size_t max_members = 20'000;  // directories counted
  size_t max_path_octets = 1024;
  size_t max_depth = 32;  // components of one path
};

// A regular file. `path` is relative, without "." or ".." components, empty components or control
// characters.
struct ArchiveMember {
  std::string path;
  std::string content;
  bool executable = false;  // the owner's execute bit
};

// Every regular file, in the archive's order (a path may occur twice; the last one counts). Errors:
//   INVALID_ARGUMENT    not a whole gzip tar, its trailer included
//   PERMISSION_DENIED   unsafe: an absolute path, "..", a link or a special file; the message names
//   the member RESOURCE_EXHAUSTED  a limit was crossed; the message names it
absl::StatusOr<std::vector<ArchiveMember>> ReadTarGz(std::string_view untrusted_archive,
                                                     const ArchiveLimits& limits = {});

// A .tar.gz of the members in their order: mode 0644 (0755 when executable), owner 0, time 0, so
// that equal members give equal octets. INTERNAL when the library fails.
absl::StatusOr<std::string> WriteTarGz(const std::vector<ArchiveMember>& members);

// OK when `path` may be a member's path, else PERMISSION_DENIED naming it.
absl::Status CheckMemberPath(std::string_view untrusted_path, const ArchiveLimits& limits = {});

}  // namespace auspex

#endif  // AUSPEX_COMMON_ARCHIVE_ARCHIVE_H_
