// SPDX-License-Identifier: AGPL-3.0-only
// The checks of coordinator section 3, strictly in their order, each with its 401 code. Pure but
// for the key lookup that the caller supplies. Any thread.
#ifndef AUSPEX_COORDD_REQUEST_VERIFIER_H_
#define AUSPEX_COORDD_REQUEST_VERIFIER_H_

#include <functional>
#include <optional>
#include <string>
#include <variant>

#include "common/ids/ids.h"
#include "coordd/http_message.h"

namespace auspex::coordd {

// Largest difference between `created` and the server's clock, in microseconds; exactly this much
// is allowed.
inline constexpr int64_t kSignatureWindowMicros = 300'000'000;

// A request whose signature verified.
struct VerifiedSignature {
  std::string keyid;  // 64 lower-case hex digits
  std::string
      signature_octets;  // 64 octets: the identity of this very signature, for the replay cache
  int64_t created = 0;
};

// Either the verified signature or the 401 to answer. `key_known` is check 9: whether a lower-cased
// keyid is known. `request` must carry a Signature-Input header.
std::variant<VerifiedSignature, Reply> VerifyRequest(
    const Request& request, int64_t now_micros,
    const std::function<bool(const std::string& keyid)>& key_known);

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_REQUEST_VERIFIER_H_
