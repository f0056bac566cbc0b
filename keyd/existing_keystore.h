// SPDX-License-Identifier: AGPL-3.0-only
// Keys made elsewhere: the existing worker's keystore.enc (worker behaviour, section 3.2) and raw
// seeds. Pure functions from octets to a seed in SecretMemory; safe from any thread. INVALID_ARGUMENT
// when the octets are not of the form, FAILED_PRECONDITION when they are and do not open here.
#ifndef AUSPEX_KEYD_EXISTING_KEYSTORE_H_
#define AUSPEX_KEYD_EXISTING_KEYSTORE_H_

#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "keyd/secret_memory.h"

namespace auspex::keyd {

// What a machine-bound key is made from: "<machine id>:<effective uid>". Reads /etc/machine-id, then
// /var/lib/dbus/machine-id; empty when there is neither. No secret: any program of the machine
// can read it.
std::string MachineIdentity();

enum class KeyFormat { kGuess, kRawSeed, kKeystoreEnc };

// Largest file of any form.
inline constexpr size_t kMaxKeyFileOctets = 4096;

// 32 octets, or 64 hex digits and at most one line end.
absl::StatusOr<SecretMemory> SeedFromRaw(std::span<const unsigned char> untrusted_file);
// keystore.enc: 65 octets. `machine_identity` as of MachineIdentity.
absl::StatusOr<SecretMemory> SeedFromKeystoreEnc(std::span<const unsigned char> untrusted_file,
                                                 const std::string& machine_identity);
// By `format`, or by what the octets look like.
absl::StatusOr<SecretMemory> SeedFromFile(std::span<const unsigned char> untrusted_file,
                                          KeyFormat format, const std::string& machine_identity);

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_EXISTING_KEYSTORE_H_
