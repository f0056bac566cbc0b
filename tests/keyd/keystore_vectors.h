// SPDX-License-Identifier: AGPL-3.0-only
// The existing worker's keystore.enc (worker behaviour, section 3.2), made by OpenSSL: an
// implementation that shares nothing with keyd's.
#ifndef AUSPEX_TESTS_KEYD_KEYSTORE_VECTORS_H_
#define AUSPEX_TESTS_KEYD_KEYSTORE_VECTORS_H_

#include <string>

namespace auspex::keyd {

// 65 octets: `seed` (32 octets) encrypted for "<machine id>:<uid>".
std::string KeystoreEncByOpenSsl(const std::string& seed, const std::string& machine_identity);

}  // namespace auspex::keyd

#endif  // AUSPEX_TESTS_KEYD_KEYSTORE_VECTORS_H_
