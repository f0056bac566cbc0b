// SPDX-License-Identifier: AGPL-3.0-only
// The one function that makes signatures. It takes the journal's proof that exactly this message
// was recorded, so that "no signature before its durable record" (promise P4) is a matter of types
// and one comparison. Pure, safe from any thread.
#ifndef AUSPEX_KEYD_DURABLE_SIGNER_H_
#define AUSPEX_KEYD_DURABLE_SIGNER_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "keyd/journal.h"
#include "keyd/secret_key.h"

namespace auspex::keyd {

// The Ed25519 signature (64 octets) of `message`. INTERNAL when `proof` is not of a signing of this
// very message.
absl::StatusOr<std::string> SignDurable(const SecretKey& key, const DurableRecord& proof,
                                        std::string_view message);

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_DURABLE_SIGNER_H_
