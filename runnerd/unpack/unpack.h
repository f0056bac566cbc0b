// SPDX-License-Identifier: AGPL-3.0-only
// Unpack: takes a package archive (tar.gz) apart under limits. Every member is checked before
// anything of it is handed on. One thread; no heap beyond the names.
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

// How messages name a member: printable ASCII, at most 120 characters, in quotes.
std::string ShownMember(std::string_view untrusted_path);
// What is said of an archive that goes beyond these limits.
std::string TooManyMembers(const UnpackLimits& limits);
std::string TooManyOctets(const UnpackLimits& limits);

// Where files go, one after the other: Begin, Write in pieces of what was announced, End. Each is
// false when no more is taken; result() then says why.
class MemberSink {
 public:
  virtual ~MemberSink() = default;
  virtual bool Begin(std::string_view path, uint64_t octets) = 0;
  virtual bool Write(std::string_view piece) = 0;
  virtual bool End() = 0;
  virtual const UnpackResult& result() const = 0;
};

// Reads the archive from `archive_fd` to its end and hands its files to `sink`. Folders are not
// handed on: they come with their files.
UnpackResult Unpack(int archive_fd, MemberSink& sink, const UnpackLimits& limits);

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_UNPACK_UNPACK_H_
