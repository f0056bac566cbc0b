// SPDX-License-Identifier: AGPL-3.0-only
// The parser of coordinator section 3.1: Signature-Input and Signature headers of a request, as
// strictly as the profile is fixed. Pure functions, any thread.
#ifndef AUSPEX_COORDD_SIGNATURE_INPUT_H_
#define AUSPEX_COORDD_SIGNATURE_INPUT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace auspex::coordd {

struct SignatureInput {
  std::string label;
  std::vector<std::string> covered;  // component names in the client's order, without quotes
  std::string params;                // what follows "label=", octet for octet (goes into the base)
  int64_t created = 0;               // Unix seconds
  std::string alg;                   // as sent
  std::string keyid;                 // lower-cased

  bool Covers(std::string_view component) const;
};

// INVALID_ARGUMENT says what is wrong. Refused besides what 3.1 names: a component or parameter
// given twice.
absl::StatusOr<SignatureInput> ParseSignatureInput(std::string_view untrusted_value);

struct SignatureValue {
  std::string label;
  std::string octets;
};
// Reads "label=:base64:".
absl::StatusOr<SignatureValue> ParseSignatureValue(std::string_view untrusted_value);

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_SIGNATURE_INPUT_H_
