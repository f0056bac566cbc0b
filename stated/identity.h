// SPDX-License-Identifier: AGPL-3.0-only
// Enrolment: who this worker is, as the coordinator said. Safe from any thread; every method blocks
// on the database.
#ifndef AUSPEX_STATED_IDENTITY_H_
#define AUSPEX_STATED_IDENTITY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "stated/context.h"

namespace auspex::stated {

struct Identity {
  std::string worker_id;
  std::string public_key_hex;
  int trust_tier = 0;
  int64_t enrolled_at = 0;  // microseconds UTC
  std::string base_url;     // normalised
  std::string account_id;   // empty: not bound
  friend bool operator==(const Identity&, const Identity&) = default;
};

// What enrolment brought, not yet parsed.
struct UntrustedEnrolment {
  std::string_view worker_id, public_key_hex, registered_at, base_url;
  uint32_t trust_tier = 0;
};

struct UntrustedBinding {
  std::string_view account_id, idp, bound_at;
  uint32_t trust_tier = 0;
  bool is_new_account = false;
};

// The stored identity inside a transaction or snapshot; nullopt before enrolment.
absl::StatusOr<std::optional<Identity>> ReadIdentity(Connection& db);
// The same, FAILED_PRECONDITION before enrolment.
absl::StatusOr<Identity> RequireIdentity(Connection& db);

class Enrolment {
 public:
  explicit Enrolment(Context& context) : context_(context) {}
  absl::StatusOr<std::optional<Identity>> Get();
  // OK also when the very same identity is stored. ALREADY_EXISTS when another one is;
  // INVALID_ARGUMENT names the field.
  absl::Status Record(const UntrustedEnrolment& untrusted);
  // Stores tier and account together; an empty account clears the binding. FAILED_PRECONDITION
  // before enrolment.
  absl::Status RecordBinding(const UntrustedBinding& untrusted);

 private:
  Context& context_;
};

}  // namespace auspex::stated

#endif  // AUSPEX_STATED_IDENTITY_H_
