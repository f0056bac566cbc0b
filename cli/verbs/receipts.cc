// SPDX-License-Identifier: AGPL-3.0-only
// receipts: submitted results and what the coordinator signed for them.
#include "cli/output/json_text.h"
#include "cli/verbs/arguments.h"
#include "cli/worker.h"
#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/json/reader.h"

namespace auspex::cli {
namespace {

struct ReceiptOptions {
  std::string since, tenant, identifier;
  uint32_t limit = 50;
};

JsonObject ToJson(const stated_v1::Result& result, bool whole) {
  JsonObject object{{"unit_id", result.unit_id()},
                    {"result_id", result.result_id()},
                    {"assignment_id", result.assignment_id()},
                    {"tenant_id", result.tenant_id()},
                    {"experiment_id", result.experiment_id()},
                    {"submitted_at", result.submitted_at()},
                    {"completed_at", result.completed_at()},
                    {"exit_code", result.exit_code()},
                    {"result_sha256", result.result_sha256()},
                    {"receipt_status", result.receipt_status()},
                    {"receipt_note", result.receipt_note()},
                    {"receipt_signer", result.receipt_signer()},
                    {"agreeing_workers", result.agreeing_workers()},
                    {"canonical_format", result.canonical_format()},
                    {"canonical_fetched_at", result.canonical_fetched_at()},
                    {"unit_status_after", result.unit_status_after()},
                    {"completions_so_far", result.completions_so_far()},
                    {"replication_target", result.replication_target()}};
  if (whole) {
    object["canonical_blob_b64"] = Base64Encode(result.canonical_blob());
    absl::StatusOr<JsonValue> payload = ReadJson(result.canonical_payload());
    object["payload"] = payload.ok() ? *std::move(payload) : JsonValue();
  }
  return object;
}

int RunList(Session& session, const ReceiptOptions& options) {
  const Output& output = session.output;
  stated_v1::ListResultsRequest request;
  request.set_limit(options.limit);
  request.set_tenant_id(options.tenant);
  if (!options.since.empty()) request.set_since_unix_micros(*ParseSince(options.since));
  Worker worker(session);
  absl::Status need = worker.Need({"stated"});
  const absl::StatusOr<stated_v1::ListResultsResponse> response =
      need.ok() ? worker->ListResults(request) : need;
  if (!response.ok()) {
    output.Error("receipts", response.status());
    return kExitFailure;
  }
  if (output.json()) {
    JsonArray results;
    for (const stated_v1::Result& result : response->results())
      results.push_back(ToJson(result, false));
    output.Json(JsonObject{{"results", std::move(results)}});
    return kExitOk;
  }
  if (response->results().empty()) {
    output.Line("no results");
    return kExitOk;
  }
  std::vector<std::vector<std::string>> rows;
  for (const stated_v1::Result& result : response->results()) {
    rows.push_back({Clean(result.submitted_at()), Clean(result.unit_id()),
                    Clean(result.result_id()), Cat(result.exit_code()),
                    Clean(result.receipt_status())});
  }
  output.Table({"SUBMITTED", "UNIT", "RESULT", "EXIT", "RECEIPT"}, rows);
  return kExitOk;
}

int RunShow(Session& session, const ReceiptOptions& options) {
  const Output& output = session.output;
  Worker worker(session);
  absl::Status need = worker.Need({"stated"});
  const absl::StatusOr<stated_v1::Result> result =
      need.ok() ? worker->GetResult(options.identifier) : need;
  if (!result.ok()) {
    output.Error("receipts", result.status(),
                 absl::IsNotFound(result.status()) ? Cat(output.program(), " receipts list")
                                                   : std::string());
    return kExitFailure;
  }
  if (output.json()) {
    output.Json(ToJson(*result, true));
    return kExitOk;
  }
  const bool has_receipt = !result->canonical_blob().empty();
  output.Fields(
      {{"unit_id", Clean(result->unit_id())},
       {"result_id", Clean(result->result_id())},
       {"assignment_id", Clean(result->assignment_id())},
       {"submitted_at", Clean(result->submitted_at())},
       {"completed_at", Clean(result->completed_at())},
       {"exit_code", Cat(result->exit_code())},
       {"result_sha256", Clean(result->result_sha256())},
       {"receipt_status", Clean(result->receipt_status())},
       {"receipt_note", Clean(result->receipt_note())},
       {"canonical",
        has_receipt ? Cat(Clean(result->canonical_format()), ", ", result->canonical_blob().size(),
                          " octets, fetched ", Clean(result->canonical_fetched_at()))
                    : std::string()},
       {"signed_by", Clean(result->receipt_signer())},
       {"agreeing_workers", has_receipt ? Cat(result->agreeing_workers()) : std::string()},
       {"unit_status", Clean(result->unit_status_after())},
       {"completions", result->replication_target() > 0
                           ? Cat(result->completions_so_far(), "/", result->replication_target())
                           : std::string()}});
  const absl::StatusOr<JsonValue> payload = ReadJson(result->canonical_payload());
  if (payload.ok()) output.Line(Cat("payload:\n", IndentedJson(*payload)));
  return kExitOk;
}

}  // namespace

void AddReceiptVerbs(CLI::App& app, Chosen& chosen) {
  CLI::App* receipts = app.add_subcommand("receipts", "Submitted results and their receipts");
  receipts->require_subcommand(0, 1);

  auto list_options = std::make_shared<ReceiptOptions>();
  CLI::App* list = receipts->add_subcommand("list", "Submitted results, newest first");
  list->add_option("--since", list_options->since,
                   "Not before this time (UTC unless it has a zone)")
      ->check(IsTime());
  list->add_option("--tenant", list_options->tenant, "Of this tenant")
      ->check(IsA<TenantId>("TENANT_ID"));
  list->add_option("--limit", list_options->limit, "At most N results")
      ->check(CLI::Range(1u, 100'000u))
      ->capture_default_str();
  list->footer("Example: auspex receipts list --since 2026-01-31");
  Runs(list, chosen, list_options, RunList);

  auto show_options = std::make_shared<ReceiptOptions>();
  CLI::App* show = receipts->add_subcommand("show", "One result with its receipt and payload");
  show->add_option("identifier", show_options->identifier,
                   "A result id, or a unit id for its latest result")
      ->required()
      ->check(IsA<ResultId>("ID"));
  show->footer("Example: auspex receipts show unit-17");
  Runs(show, chosen, show_options, RunShow);
}

}  // namespace auspex::cli
