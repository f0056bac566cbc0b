// SPDX-License-Identifier: AGPL-3.0-only
// Policy: the owner's lists, consents and pause. Each change leaves an audit row. Safe from any
// thread; methods block on the database and answer whether anything changed.
#ifndef AUSPEX_STATED_POLICY_H_
#define AUSPEX_STATED_POLICY_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "stated/context.h"

namespace auspex::stated {

class Policy {
 public:
  explicit Policy(Context& context) : context_(context) {}
  // INVALID_ARGUMENT when the text is no tenant id. A tenant may be on both lists; deny wins.
  absl::StatusOr<bool> AllowTenant(std::string_view untrusted_tenant);
  absl::StatusOr<bool> DenyTenant(std::string_view untrusted_tenant);
  // Takes it off both lists.
  absl::StatusOr<bool> ForgetTenant(std::string_view untrusted_tenant);
  // Consent to an experiment's sensitive content, by the coordinator's id.
  absl::StatusOr<bool> AcceptExperiment(std::string_view untrusted_experiment);
  absl::StatusOr<bool> WithdrawAcceptance(std::string_view untrusted_experiment);
  absl::StatusOr<bool> ClearPin(std::string_view untrusted_experiment);
  // FAILED_PRECONDITION before enrolment.
  absl::StatusOr<bool> SetSelfPause(bool paused);
  // Audit row of an abort that runnerd carried out; `action` is one of the six words of worker
  // behaviour 1.5.
  absl::StatusOr<bool> RecordAbort(std::string_view untrusted_unit, std::string_view action,
                                   std::string_view untrusted_reason);

 private:
  absl::StatusOr<bool> ListTenant(std::string_view untrusted_tenant, std::string_view list);
  Context& context_;
};

}  // namespace auspex::stated

#endif  // AUSPEX_STATED_POLICY_H_
