// SPDX-License-Identifier: AGPL-3.0-only
#include "coordd/package_store.h"

#include <map>
#include <string>

#include "common/base/status_macros.h"
#include "common/crypto/sha256.h"
#include "common/wire/manifest.h"
#include "coordd/options.h"
#include "coordd/reply.h"

namespace auspex::coordd {

ArchiveLimits PackageLimits() {
  return {.max_unpacked_octets = kMaxUnpackedOctets, .max_member_octets = kMaxUnpackedOctets};
}

absl::StatusOr<Sha256Hex> DigestOfArchive(std::string_view untrusted_archive) {
  ASSIGN_OR_RETURN(const auto members, ReadTarGz(untrusted_archive, PackageLimits()));
  std::map<std::string, std::string> digests;
  for (const ArchiveMember& member : members) digests[member.path] = Sha256HexOf(member.content);
  return PackageDigest(digests);
}

Reply PackageRefusal(const absl::Status& status) {
  const std::string message(status.message());
  if (absl::IsPermissionDenied(status)) return Error(400, "unsafe_package", message);
  return Error(400, "invalid_package", message);
}

bool StorePackage(Database& db, const Sha256Hex& digest, std::string_view archive, int64_t now) {
  return db.Run(
             "INSERT OR IGNORE INTO packages (digest, size_octets, stored_at, archive) VALUES (?, "
             "?, ?, ?)",
             digest, static_cast<int64_t>(archive.size()), now, Blob{archive}) > 0;
}

}  // namespace auspex::coordd
