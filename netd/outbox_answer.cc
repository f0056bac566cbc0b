// SPDX-License-Identifier: AGPL-3.0-only
#include "netd/outbox_answer.h"

#include <optional>
#include <utility>

#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/ids/ids.h"
#include "netd/answer.h"
#include "netd/retry.h"

namespace auspex {
namespace {

using stated::v1::SettleRequest;

SettleRequest Transient(const HttpResponse& response, const CoordinatorError& error,
                        int64_t now_unix) {
  return SettleTransient(Describe(response, error), RetryAfterSeconds(response, now_unix));
}

SettleRequest Terminal(const HttpResponse& response, const CoordinatorError& error,
                       std::string_view default_code) {
  return SettleTerminal(error.code.empty() ? default_code : std::string_view(error.code),
                        Describe(response, error));
}

// A count as the coordinator tells it.
std::optional<int64_t> Count(const JsonValue& answer, std::string_view name) {
  const JsonValue* member = answer.Find(name);
  const std::optional<int64_t> value = member == nullptr ? std::nullopt : member->AsInt64();
  return value.has_value() && *value >= 0 ? value : std::nullopt;
}

// A 201 whose body cannot be read has stored the result all the same: asking again brings a 409
// with the id (W16).
SettleRequest ReadAccepted(const HttpResponse& response) {
  absl::StatusOr<JsonValue> answer = ReadAnswerObject(response);
  if (!answer.ok()) return SettleTransient(std::string(answer.status().message()));
  const std::string* id_text = answer->FindString("result_id");
  const std::string* status_after = answer->FindString("unit_status_after");
  const auto completions = Count(*answer, "completions_so_far");
  const auto target = Count(*answer, "replication_target");
  if (id_text == nullptr || answer->FindString("unit_id") == nullptr || status_after == nullptr ||
      !completions || !target) {
    return SettleTransient("HTTP 201 without a required member");
  }
  absl::StatusOr<ResultId> id = ResultId::Parse(*id_text);
  if (!id.ok()) return SettleTransient(Cat("HTTP 201: ", std::string(id.status().message())));
  SettleRequest out;
  auto* accepted = out.mutable_result_accepted();
  accepted->set_result_id(id->str());
  accepted->set_unit_status_after(CleanText(*status_after, 64));
  accepted->set_completions_so_far(*completions);
  accepted->set_replication_target(*target);
  return out;
}

}  // namespace

SettleRequest SettleTransient(std::string_view text, uint32_t retry_after_seconds) {
  SettleRequest out;
  out.mutable_transient()->set_text(CleanText(text, 500));
  out.mutable_transient()->set_retry_after_seconds(retry_after_seconds);
  return out;
}

SettleRequest SettleTerminal(std::string_view code, std::string_view text) {
  SettleRequest out;
  out.mutable_terminal()->set_code(CleanText(code, 64));
  out.mutable_terminal()->set_text(CleanText(text, 500));
  return out;
}

SettleRequest SettleResult(const HttpResponse& response, uint32_t attempt, int64_t now_unix) {
  if (response.status == 201) return ReadAccepted(response);
  const CoordinatorError error = ReadError(response);
  switch (response.status) {
    case 409: {
      const std::string* existing = error.details.FindString("existing_result_id");
      if (existing == nullptr) return Terminal(response, error, "conflict");
      absl::StatusOr<ResultId> id = ResultId::Parse(*existing);
      if (!id.ok()) return SettleTerminal("bad_result_id", std::string(id.status().message()));
      SettleRequest out;
      out.mutable_result_accepted()->set_result_id(id->str());
      out.mutable_result_accepted()->set_already(true);
      return out;
    }
    case 401:
      // A clock that is off strands nothing: it is set right one day (W2).
      if (error.code == "signature_expired") return Transient(response, error, now_unix);
      return Terminal(response, error, "unauthorized");
    case 403:
      return Terminal(response, error, "forbidden");
    case 404:
      if (attempt <= kNotFoundAttempts) return Transient(response, error, now_unix);
      return Terminal(response, error, "not_found");
    case 413:
      return Terminal(response, error, "payload_too_large");
    case 422:
      return Terminal(response, error, "validation_failed");
    case 423: {
      SettleRequest out;
      out.mutable_held()->set_text(Describe(response, error));
      return out;
    }
    default:
      return Transient(response, error, now_unix);
  }
}

SettleRequest SettleRefusal(const HttpResponse& response, int64_t now_unix) {
  const int status = response.status;
  if (status == 200) {
    SettleRequest out;
    out.mutable_refusal_done()->set_note("refused");
    return out;
  }
  const CoordinatorError error = ReadError(response);
  if (status == 404 || status == 409) {
    SettleRequest out;
    out.mutable_refusal_done()->set_note(Describe(response, error));
    return out;
  }
  const bool may_pass =
      status == 401 || status == 403 || status == 408 || status == 423 || status == 429;
  if (status >= 400 && status < 500 && !may_pass)
    return Terminal(response, error, "refused_refusal");
  return Transient(response, error, now_unix);
}

SettleRequest SettleReceipt(const HttpResponse& response, int64_t now_unix) {
  const CoordinatorError error = response.status == 200 ? CoordinatorError() : ReadError(response);
  if (response.status == 410) {
    SettleRequest out;
    const std::string* reason = error.details.FindString("reason");
    out.mutable_receipt_never()->set_reason(reason != nullptr ? CleanText(*reason, 200)
                                                              : Describe(response, error));
    return out;
  }
  if (response.status != 200) return Transient(response, error, now_unix);
  absl::StatusOr<JsonValue> answer = ReadAnswerObject(response);
  if (!answer.ok()) return SettleTransient(std::string(answer.status().message()));
  const std::string* blob = answer->FindString("cose_signed_blob_b64");
  if (blob == nullptr) return SettleTransient("HTTP 200 without cose_signed_blob_b64");
  std::optional<std::string> cose = Base64Decode(*blob);
  if (!cose.has_value() || cose->empty())
    return SettleTransient("HTTP 200 whose cose_signed_blob_b64 is not base64");
  if (cose->size() > kMaxReceiptOctets)
    return SettleTransient(Cat("a receipt of more than ", kMaxReceiptOctets, " octets"));
  SettleRequest out;
  out.mutable_receipt()->set_cose(std::move(*cose));
  return out;
}

std::string_view OutcomeWord(const SettleRequest& request) {
  switch (request.outcome_case()) {
    case SettleRequest::kResultAccepted:
      return "accepted";
    case SettleRequest::kRefusalDone:
      return "done";
    case SettleRequest::kReceipt:
      return "receipt";
    case SettleRequest::kReceiptNever:
      return "never";
    case SettleRequest::kTerminal:
      return "terminal";
    case SettleRequest::kTransient:
      return "transient";
    case SettleRequest::kHeld:
      return "held";
    case SettleRequest::OUTCOME_NOT_SET:
      break;
  }
  return "none";
}

}  // namespace auspex
