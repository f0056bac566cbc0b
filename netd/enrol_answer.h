// SPDX-License-Identifier: AGPL-3.0-only
// The answers to enrolment and to the exchange of an identity provider's token (wire
// protocol 5.1, 5.7). Pure, any thread.
#ifndef AUSPEX_NETD_ENROL_ANSWER_H_
#define AUSPEX_NETD_ENROL_ANSWER_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "common/http/http_message.h"
#include "common/ids/ids.h"

namespace auspex {

struct EnrolAnswer {
  std::string refusal;    // the code of a 409 that a person must look at; the rest is then empty
  std::string worker_id;  // parsed as WorkerId
  uint32_t trust_tier = 0;
  std::string registered_at;  // ISO 8601
};
// ABORTED when the coordinator refused otherwise, INVALID_ARGUMENT when its answer does not hold
// what is required.
absl::StatusOr<EnrolAnswer> ReadEnrolAnswer(const HttpResponse& response);

struct ExchangeAnswer {
  std::string account_id;     // parsed as AccountId
  std::string binding_token;  // 1..512 printable characters; a secret
  std::string expires_at;     // ISO 8601
  bool is_new_account = false;
};
absl::StatusOr<ExchangeAnswer> ReadExchangeAnswer(const HttpResponse& response);

}  // namespace auspex

#endif  // AUSPEX_NETD_ENROL_ANSWER_H_
