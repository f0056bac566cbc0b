// SPDX-License-Identifier: AGPL-3.0-only
#include "netd/enrol_answer.h"

#include <algorithm>
#include <optional>

#include "common/base/status_macros.h"
#include "netd/answer.h"

namespace auspex {

absl::StatusOr<EnrolAnswer> ReadEnrolAnswer(const HttpResponse& response) {
  EnrolAnswer out;
  if (response.status != 201) {
    const CoordinatorError error = ReadError(response);
    const bool known = error.code == "pubkey_already_enrolled" ||
                       error.code == "pubkey_already_tenant" || error.code == "pubkey_retired";
    if (response.status != 409 || !known) return absl::AbortedError(Describe(response, error));
    out.refusal = error.code;
    return out;
  }
  ASSIGN_OR_RETURN(const JsonValue answer, ReadAnswerObject(response));
  const std::string* id_text = answer.FindString("worker_id");
  if (id_text == nullptr) return absl::InvalidArgumentError("HTTP 201 without worker_id");
  ASSIGN_OR_RETURN(const WorkerId id, WorkerId::Parse(*id_text));
  const std::optional<uint32_t> tier = TierMember(answer);
  if (!tier.has_value())
    return absl::InvalidArgumentError("HTTP 201 without a trust_tier of 0 to 3");
  out.registered_at = TimeMember(answer, "registered_at");
  if (out.registered_at.empty())
    return absl::InvalidArgumentError("HTTP 201 without a registered_at timestamp");
  out.worker_id = id.str();
  out.trust_tier = *tier;
  return out;
}

absl::StatusOr<ExchangeAnswer> ReadExchangeAnswer(const HttpResponse& response) {
  if (response.status != 200) return absl::AbortedError(Describe(response, ReadError(response)));
  ASSIGN_OR_RETURN(const JsonValue answer, ReadAnswerObject(response));
  const std::string* account_text = answer.FindString("account_id");
  const std::string* token = answer.FindString("binding_token");
  const JsonValue* is_new = answer.Find("is_new_account");
  ExchangeAnswer out;
  out.expires_at = TimeMember(answer, "expires_at");
  if (account_text == nullptr || token == nullptr || is_new == nullptr ||
      is_new->as_bool() == nullptr || out.expires_at.empty()) {
    return absl::InvalidArgumentError("HTTP 200 of the exchange without a required member");
  }
  ASSIGN_OR_RETURN(const AccountId account, AccountId::Parse(*account_text));
  const bool printable =
      std::all_of(token->begin(), token->end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (token->empty() || token->size() > 512 || !printable) {
    return absl::InvalidArgumentError(
        "HTTP 200 of the exchange with a binding_token that cannot be one");
  }
  out.account_id = account.str();
  out.binding_token = *token;
  out.is_new_account = *is_new->as_bool();
  return out;
}

}  // namespace auspex
