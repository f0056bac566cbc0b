// SPDX-License-Identifier: AGPL-3.0-only
// Packages: checking an uploaded archive and keeping it under its digest (coordinator 13.2, 13.3).
// Single-threaded.
#ifndef AUSPEX_COORDD_PACKAGE_STORE_H_
#define AUSPEX_COORDD_PACKAGE_STORE_H_

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/archive/archive.h"
#include "common/ids/ids.h"
#include "coordd/database.h"
#include "coordd/http_message.h"

namespace auspex::coordd {

ArchiveLimits PackageLimits();
// The package digest (wire protocol 4.5) of an archive's files; errors are those of ReadTarGz.
absl::StatusOr<Sha256Hex> DigestOfArchive(std::string_view untrusted_archive);
// 400 `unsafe_package` or `invalid_package` for an error of DigestOfArchive.
Reply PackageRefusal(const absl::Status& status);
// Stores the archive under its digest; false when it was there already.
bool StorePackage(Database& db, const Sha256Hex& digest, std::string_view archive, int64_t now);

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_PACKAGE_STORE_H_
