// SPDX-License-Identifier: AGPL-3.0-only
#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/crypto/ed25519.h"
#include "common/crypto/sha256.h"
#include "common/json/canonical.h"
#include "common/json/reader.h"
#include "common/log/log.h"
#include "common/wire/result.h"
#include "coordd/assignment_store.h"
#include "coordd/experiment_store.h"
#include "coordd/handlers.h"
#include "coordd/quorum.h"
#include "coordd/random_ids.h"
#include "coordd/reply.h"
#include "coordd/result_body.h"
#include "coordd/unit_state.h"
#include "coordd/worker_store.h"

namespace auspex::coordd {
namespace {

bool SignatureFits(const std::string& pubkey_hex, std::string_view octets,
                   const std::string& signature_base64) {
  const auto key = HexDecode(pubkey_hex);
  const auto signature = Base64Decode(signature_base64);
  return key && signature && Ed25519Verify(*key, octets, *signature);
}

// The digest under which the worker says it served `model`: the result's own statement from version
// 1 up, else the heartbeat's.
std::optional<std::string> ServedDigest(const ResultBody& body, const WorkerRow& worker,
                                        const std::string& model) {
  if (body.schema_version >= 1 && body.has_served_weights) {
    const auto it = body.served_weights.find(model);
    if (it != body.served_weights.end()) return it->second;
    return std::nullopt;
  }
  const auto capabilities = ReadJson(worker.capabilities);
  if (!capabilities.ok()) return std::nullopt;
  const JsonValue* digests = capabilities->Find("served_model_digests");
  const std::string* digest = digests != nullptr ? digests->FindString(model) : nullptr;
  if (digest == nullptr) return std::nullopt;
  return *digest;
}

// One submission being judged; the steps are those of 8.1 and run in that order.
class Submission {
 public:
  Submission(Services& services, const Context& context, ResultBody body)
      : services_(services), context_(context), body_(std::move(body)) {}

  Reply Judge() {
    for (const auto step :
         {&Submission::CheckHolds, &Submission::CheckNames, &Submission::CheckAssignment,
          &Submission::CheckSignature, &Submission::CheckContainment, &Submission::CheckWeights,
          &Submission::CheckRawText, &Submission::CheckFeatures}) {
      if (auto refusal = (this->*step)()) return *std::move(refusal);
    }
    return Accept();
  }

 private:
  std::optional<Reply> CheckHolds() {
    worker_ = FindWorker(services_.db, context_.PathId<WorkerId>(0));
    if (!worker_) return Error(404, "worker_not_found", "no such worker");
    if (worker_->quarantined_at) {
      return Error(
          423, "worker_quarantined", "this worker is quarantined",
          {{"quarantined_at", DetailTime(*worker_->quarantined_at)},
           {"quarantine_reason",
            worker_->quarantine_reason ? JsonValue(*worker_->quarantine_reason) : JsonValue()}});
    }
    if (worker_->account_id) {
      Rows rows = services_.db.Query(
          "SELECT 1 FROM accounts WHERE account_id = ? AND suspended_at IS NOT NULL",
          worker_->account_id);
      if (rows.Next()) return Error(403, "account_suspended", "the worker's account is suspended");
    }
    return std::nullopt;
  }

  std::optional<Reply> CheckNames() {
    if (body_.unit_id != context_.path[1]) {
      return Error(422, "unit_id_mismatch", "body and path name different units");
    }
    if (body_.worker_pubkey != context_.caller.pubkey) {
      return Error(403, "worker_pubkey_mismatch",
                   "the body's key is not the one that signed the request");
    }
    return std::nullopt;
  }

  std::optional<Reply> CheckAssignment() {
    assignment_ =
        FindAssignment(services_.db, context_.PathId<UnitId>(1), worker_->id, body_.assignment_id);
    if (!assignment_)
      return Error(404, "assignment_not_found", "no such assignment of this worker");
    if (assignment_->result) {
      return Error(409, "result_already_submitted", "this assignment has its result",
                   {{"assignment_id", assignment_->assignment_id},
                    {"existing_result_id", assignment_->result_id.value_or("")}});
    }
    experiment_ = FindExperimentByKey(services_.db, assignment_->experiment);
    if (!experiment_) return InternalError();
    return std::nullopt;
  }

  std::optional<Reply> CheckSignature() {
    canonical_ = CanonicalResultOctets(body_);
    if (SignatureFits(body_.worker_pubkey, canonical_, body_.worker_signature)) return std::nullopt;
    return Burn(422, "worker_signature_invalid", "worker_signature does not verify");
  }

  std::optional<Reply> CheckContainment() {
    if (!body_.ran_under) return std::nullopt;
    std::string level = *body_.ran_under;
    for (char& c : level) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    if (SandboxLevelOf(&level) >= experiment_->requirements.sandbox) return std::nullopt;
    QuarantineWorker(services_.db, worker_->id, context_.now,
                     Cat("containment_violation: a result ran under '", Printable(level, 64),
                         "' where 'strict' was required"));
    services_.work_changed();
    return Burn(409, "containment_violation",
                "the result ran under weaker isolation than required");
  }

  std::optional<Reply> CheckWeights() {
    for (const auto& [model, digest] : experiment_->requirements.pinned_weights) {
      if (ServedDigest(body_, *worker_, model) == digest) continue;
      return Burn(409, "served_weights_mismatch",
                  "a model was served from other weights than pinned");
    }
    return std::nullopt;
  }

  std::optional<Reply> CheckRawText() {
    if (!experiment_->requirements.capture_raw || !body_.raw_response) return std::nullopt;
    const auto octets = CanonicalRawText(body_.unit_id, body_.worker_pubkey, *body_.raw_response);
    if (octets.ok() &&
        SignatureFits(body_.worker_pubkey, *octets, body_.raw_signature.value_or(""))) {
      return std::nullopt;
    }
    return Burn(422, "raw_signature_invalid", "raw_signature does not verify");
  }

  std::optional<Reply> CheckFeatures() {
    if (!experiment_->requirements.feature_schema) return std::nullopt;
    const auto schema = services_.feature_schemas.Get(services_.db, *experiment_);
    if (!schema) return InternalError();
    const absl::Status verdict = schema->Check(body_.payload);
    if (verdict.ok()) return std::nullopt;
    const std::string problem(verdict.message());
    if (!experiment_->certified) {
      schema_problem_ = problem;
      return std::nullopt;
    }
    FailUnit(services_, *experiment_, assignment_->unit, context_.now);
    return Burn(422, "schema_violation", problem);
  }

  // Refuses the assignment for good, with the code as the kind; the reply keeps that write.
  Reply Burn(int status, std::string_view code, std::string_view message) {
    RefuseAssignment(services_, *assignment_, code, message, /*retryable=*/false, context_.now);
    LogWarning("result_refused", {{"worker", worker_->worker_id},
                                  {"assignment", assignment_->assignment_id},
                                  {"code", code}});
    return ErrorKeepingWrites(status, code, message,
                              {{"assignment_id", assignment_->assignment_id}});
  }

  Reply Accept() {
    const std::string result_id = MakeId("res-");
    const std::string payload = WriteCanonical(body_.payload);
    JsonObject weights;
    for (const auto& [model, digest] : body_.served_weights) weights.emplace(model, digest);
    services_.db.Run(
        "INSERT INTO results (result_id, assignment, unit, experiment, worker, worker_pubkey, "
        "exit_code,"
        " payload, completed_at, completed_micros, schema_version, ran_under, served_weights, "
        "signature,"
        " canonical_sha256, semantic_hash, submitted_at, schema_problem) VALUES "
        "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        result_id, assignment_->id, assignment_->unit, assignment_->experiment, worker_->id,
        body_.worker_pubkey, body_.exit_code, payload, body_.completed_at, body_.completed_micros,
        body_.schema_version, body_.ran_under, WriteCanonical(weights), body_.worker_signature,
        Sha256HexOf(canonical_), SemanticHash(body_.exit_code, payload), context_.now,
        schema_problem_);
    const int64_t result = services_.db.LastRowId();
    services_.db.Run("UPDATE assignments SET result = ? WHERE id = ?", result, assignment_->id);
    // A refused row held no place; with a result it does (a worker may refuse and still deliver).
    services_.db.Run(
        "UPDATE units SET completions = completions + 1, holding = holding + ? WHERE id = ?",
        assignment_->refused_at.has_value(), assignment_->unit);
    const UnitProgress progress =
        SettleUnit(services_, *experiment_, assignment_->unit, result, context_.now);
    if (experiment_->max_concurrent) services_.work_changed();
    LogDebug("result_accepted", {{"worker", worker_->worker_id}, {"result", result_id}});
    return Ok(JsonObject{{"result_id", result_id},
                         {"unit_id", body_.unit_id},
                         {"unit_status_after", UnitStatusWord(progress.status)},
                         {"completions_so_far", progress.completions},
                         {"replication_target", progress.target}},
              201);
  }

  Services& services_;
  const Context& context_;
  const ResultBody body_;
  std::optional<WorkerRow> worker_;
  std::optional<AssignmentRow> assignment_;
  std::optional<ExperimentRow> experiment_;
  std::string canonical_;
  std::optional<std::string> schema_problem_;
};

}  // namespace

Reply HandleResult(Services& services, const Context& context) {
  BodyReader in(context.body, context.json_content_type);
  ResultBody body = ReadResultBody(in);
  if (!in.ok()) return in.Refusal();
  return Submission(services, context, std::move(body)).Judge();
}

}  // namespace auspex::coordd
