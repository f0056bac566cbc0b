// SPDX-License-Identifier: AGPL-3.0-only
// Unpack: takes a package archive (tar.gz) apart under limits. Every member is checked before
// anything of it is written; names reach the file system one component at a time, relative to
// descriptors, without following links. One thread; no heap beyond the names.
#ifndef AUSPEX_RUNNERD_UNPACK_UNPACK_H_
#define AUSPEX_RUNNERD_UNPACK_UNPACK_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace auspex::runnerd {

struct UnpackLimits {
  uint64_t compressed_octets = 64 << 20;
  uint64_t unpacked_octets = 256 << 20;
  uint64_t ratio = 200;  // unpacked to compressed, once 1 MiB is unpacked
  uint64_t members = 10'000;
  size_t path_octets = 512;
  size_t component_octets = 128;
  size_t depth = 32;
};

struct UnpackResult {
  // kUnreadable: gzip or tar is damaged or cut off (wire protocol: package_unavailable); kUnsafe: a
  // member or a limit; kFailed: this host.
  enum class Outcome { kOk, kUnreadable, kUnsafe, kFailed };
  Outcome outcome = Outcome::kOk;
  std::string why;  // names the member; printable; empty when kOk
  uint64_t members = 0, octets = 0;
};

// One word for each outcome, as auspex-unpack reports it.
std::string_view UnpackWord(UnpackResult::Outcome outcome);

// Why `untrusted_path` may not be a member's path ("is absolute", "leaves the package", ...); empty
// when it may. A leading "./" is allowed. Names are UTF-8 without characters that control, reorder
// or hide what is shown.
std::string CheckMemberPath(std::string_view untrusted_path, const UnpackLimits& limits);

// Reads the archive from `archive_fd` to its end and writes into the folder `target_fd`, which must
// be empty. Files get mode 0444, folders 0755, whatever the archive says; folders without a file are
// left out. A name that comes twice is unsafe, but for manifest.json and manifest.json.sig at the
// top, of which the last counts (wire protocol: the coordinator appends them).
UnpackResult Unpack(int archive_fd, int target_fd, const UnpackLimits& limits);

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_UNPACK_UNPACK_H_
