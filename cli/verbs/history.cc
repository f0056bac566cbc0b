// SPDX-License-Identifier: AGPL-3.0-only
// queue, peek, log: audit rows, newest first.
#include "cli/verbs/arguments.h"
#include "cli/worker.h"
#include "common/base/cat.h"

namespace auspex::cli {
namespace {

constexpr size_t kActionWidth = 35;
constexpr uint32_t kMostRows = 10'000;

struct HistoryOptions {
  std::string since, unit, action;
  uint32_t limit = 100;
};

JsonObject ToJson(const stated_v1::AuditRow& row) {
  return {{"id", row.id()},
          {"occurred_at", row.occurred_at()},
          {"action", row.action()},
          {"unit_id", row.unit_id()},
          {"assignment_id", row.assignment_id()},
          {"experiment_id", row.experiment_id()},
          {"tenant_id", row.tenant_id()},
          {"manifest_sha256", row.manifest_sha256()},
          {"reason", row.reason()}};
}

std::string OneLine(const stated_v1::AuditRow& row) {
  std::string action = Clean(row.action());
  if (action.size() < kActionWidth) action.resize(kActionWidth, ' ');
  std::string line = Cat(Clean(row.occurred_at()), "  ", action, "  ", Clean(row.unit_id()));
  if (!row.tenant_id().empty()) line += Cat("  ", Clean(row.tenant_id()));
  // The owner's word on an experiment has no unit that would say which one.
  if (row.unit_id().empty() && !row.experiment_id().empty()) {
    line += Cat("  ", Clean(row.experiment_id()));
  }
  if (!row.reason().empty()) line += Cat("  [", Clean(row.reason()), "]");
  return line;
}

// Shared by the three verbs: asks and shows; `details` is peek's form.
int Show(Session& session, const char* verb, const stated_v1::ListAuditRequest& request,
         bool details) {
  const Output& output = session.output;
  Worker worker(session);
  absl::Status need = worker.Need({"stated"});
  const absl::StatusOr<stated_v1::ListAuditResponse> response =
      need.ok() ? worker->ListAudit(request) : need;
  if (!response.ok()) {
    output.Error(verb, response.status());
    return kExitFailure;
  }
  if (output.json()) {
    JsonArray rows;
    for (const stated_v1::AuditRow& row : response->rows()) rows.push_back(ToJson(row));
    output.Json(JsonObject{{"rows", std::move(rows)}});
    return kExitOk;
  }
  if (response->rows().empty()) output.Line("no rows");
  bool first = true;
  for (const stated_v1::AuditRow& row : response->rows()) {
    if (!details) {
      output.Line(OneLine(row));
      continue;
    }
    if (!first) output.Line("");
    first = false;
    output.Fields({{"occurred_at", Clean(row.occurred_at())},
                   {"action", Clean(row.action())},
                   {"experiment_id", Clean(row.experiment_id())},
                   {"tenant_id", Clean(row.tenant_id())},
                   {"manifest_sha", Clean(row.manifest_sha256())},
                   {"assignment_id", Clean(row.assignment_id())},
                   {"reason", Clean(row.reason())}});
  }
  return kExitOk;
}

int RunQueue(Session& session, const HistoryOptions& options) {
  stated_v1::ListAuditRequest request;
  request.set_limit(options.limit);
  return Show(session, "queue", request, false);
}

int RunPeek(Session& session, const HistoryOptions& options) {
  stated_v1::ListAuditRequest request;
  request.set_unit_id(options.unit);
  request.set_limit(kMostRows);
  return Show(session, "peek", request, true);
}

int RunLog(Session& session, const HistoryOptions& options) {
  stated_v1::ListAuditRequest request;
  request.set_limit(options.limit);
  request.set_unit_id(options.unit);
  request.set_action(options.action);
  if (!options.since.empty()) request.set_since_unix_micros(*ParseSince(options.since));
  return Show(session, "log", request, false);
}

}  // namespace

void AddHistoryVerbs(CLI::App& app, Chosen& chosen) {
  auto queue_options = std::make_shared<HistoryOptions>();
  queue_options->limit = 20;
  CLI::App* queue = app.add_subcommand("queue", "The latest audit rows, newest first");
  queue->add_option("--limit", queue_options->limit, "At most N rows")
      ->check(CLI::Range(1u, kMostRows))
      ->capture_default_str();
  queue->footer("Example: auspex queue --limit 5");
  Runs(queue, chosen, queue_options, RunQueue);

  auto peek_options = std::make_shared<HistoryOptions>();
  CLI::App* peek = app.add_subcommand("peek", "Every audit row of one unit");
  peek->add_option("unit", peek_options->unit, "The unit")
      ->required()
      ->check(IsA<UnitId>("UNIT_ID"));
  peek->footer("Example: auspex peek unit-17");
  Runs(peek, chosen, peek_options, RunPeek);

  auto log_options = std::make_shared<HistoryOptions>();
  CLI::App* log = app.add_subcommand("log", "Audit rows that fit, newest first");
  log->add_option("--since", log_options->since, "Not before this time (UTC unless it has a zone)")
      ->check(IsTime());
  log->add_option("--unit", log_options->unit, "Of this unit")->check(IsA<UnitId>("UNIT_ID"));
  log->add_option("--action", log_options->action, "Of this action, for example accepted");
  log->add_option("--limit", log_options->limit, "At most N rows")
      ->check(CLI::Range(1u, kMostRows))
      ->capture_default_str();
  log->footer("Example: auspex log --since 2026-01-31T08:00:00+02:00 --action refused_manual");
  Runs(log, chosen, log_options, RunLog);
}

}  // namespace auspex::cli
