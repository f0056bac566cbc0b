// SPDX-License-Identifier: AGPL-3.0-only
// audit show: the signing journal, record by record.
#include "cli/verbs/arguments.h"
#include "cli/worker.h"
#include "common/base/cat.h"
#include "common/base/encoding.h"

namespace auspex::cli {
namespace {

struct AuditOptions {
  uint64_t from = 1;
  uint64_t limit = 0;
};

JsonObject ToJson(const keyd_v1::JournalRecord& record) {
  return {{"sequence", record.sequence()},
          {"time", ShowTime(record.time_unix_micros())},
          {"time_unix_micros", record.time_unix_micros()},
          {"role", record.role()},
          {"peer_pid", record.peer_pid()},
          {"peer_uid", record.peer_uid()},
          {"intent", record.intent()},
          {"subject", record.subject()},
          {"outcome", record.outcome()},
          {"digest", HexEncode(record.digest())},
          {"leaf_hash", HexEncode(record.leaf_hash())}};
}

int RunShow(Session& session, const AuditOptions& options) {
  const Output& output = session.output;
  Worker worker(session);
  if (absl::Status need = worker.Need({"keyd"}); !need.ok()) {
    output.Error("audit", need);
    return kExitFailure;
  }
  JsonArray records;
  bool any = false;
  const absl::Status status =
      worker->ListJournal(options.from, options.limit, [&](const keyd_v1::JournalRecord& record) {
        any = true;
        if (output.json()) {
          records.push_back(ToJson(record));
          return;
        }
        std::string line =
            Cat(record.sequence(), "  ", ShowTime(record.time_unix_micros()), "  ",
                Clean(record.role()), "  ", Clean(record.intent()), "  ",
                record.subject().empty() ? std::string("-") : Clean(record.subject()), "  ",
                Clean(record.outcome()));
        if (!record.digest().empty()) line += Cat("  ", HexEncode(record.digest()).substr(0, 16));
        output.Line(line);
      });
  if (!status.ok()) {
    output.Error("audit", status);
    return kExitFailure;
  }
  if (output.json()) {
    output.Json(JsonObject{{"records", std::move(records)}});
  } else if (!any) {
    output.Line("no records");
  }
  return kExitOk;
}

}  // namespace

void AddAuditVerbs(CLI::App& app, Chosen& chosen) {
  CLI::App* audit = app.add_subcommand("audit", "The journal of every signature");
  audit->require_subcommand(0, 1);
  auto options = std::make_shared<AuditOptions>();
  CLI::App* show = audit->add_subcommand("show", "Journal records in order");
  show->add_option("--from", options->from, "First sequence number")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  show->add_option("--limit", options->limit, "At most N records; 0 is all")->capture_default_str();
  show->footer("Example: auspex audit show --from 100 --limit 20");
  Runs(show, chosen, options, RunShow);
}

}  // namespace auspex::cli
