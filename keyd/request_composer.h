// SPDX-License-Identifier: AGPL-3.0-only
// From an intent with fields to the octets that are signed (wire protocol, sections 2 and 5). This
// is where a request is decided: method, path and authority come from the intent, the validated
// identifiers and the enrolment, never from the caller. Pure functions, safe from any thread.
#ifndef AUSPEX_KEYD_REQUEST_COMPOSER_H_
#define AUSPEX_KEYD_REQUEST_COMPOSER_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "common/journal/digest.h"
#include "common/journal/intent.h"
#include "common/wire/http_signature.h"
#include "keyd/enrolment.h"

namespace auspex::keyd {

// The fields of every intent; each uses those that are its own.
struct UntrustedRequest {
  Intent intent = Intent::kNone;
  std::string unit_id, assignment_id, result_id, account_id, manifest_sha256;
  std::string body_sha256;  // 32 octets for an intent with a body
};

struct ComposedRequest {
  SignedParts parts;    // what goes into the headers
  std::string base;     // what is signed
  std::string subject;  // for the journal: assignment, result, manifest or account; may be empty
  std::string unit;     // for the journal; may be empty
  Digest32 body{};      // zero without a body
};

// INVALID_ARGUMENT "<field>: <why>" for a field that is not of its kind. `created`: Unix seconds.
absl::StatusOr<ComposedRequest> ComposeRequest(const UntrustedRequest& request,
                                               const Enrolment& enrolment,
                                               const std::string& public_key_hex, int64_t created);

// The untrusted text that names what `request` is about, for the record of a refusal.
std::string SubjectOfRefusal(const UntrustedRequest& request);

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_REQUEST_COMPOSER_H_
