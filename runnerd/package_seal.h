// SPDX-License-Identifier: AGPL-3.0-only
// Seals an unpacked package whose manifest and digest were verified: afterwards the tree is a
// function of those two hashes alone, whatever else its archive said. One thread a folder.
#ifndef AUSPEX_RUNNERD_PACKAGE_SEAL_H_
#define AUSPEX_RUNNERD_PACKAGE_SEAL_H_

#include <cstdint>

#include "absl/status/statusor.h"

namespace auspex::runnerd {

// manifest.json becomes its canonical form, manifest.json.sig goes, every file and folder gets mode
// 0555 and one fixed time, and all of it is on the disk. What it takes there, in octets.
absl::StatusOr<uint64_t> SealPackage(int folder);

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_PACKAGE_SEAL_H_
