// SPDX-License-Identifier: AGPL-3.0-only
// audit show: records in order, from the running keyd or from files.
#include <limits>

#include "cli/journal_client.h"
#include "cli/verbs/arguments.h"
#include "cli/verbs/audit_verbs.h"
#include "cli/worker.h"
#include "common/base/cat.h"

namespace auspex::cli {
namespace {

struct ShowOptions {
  RowFilter filter;
  JournalFiles files;
  uint64_t from = 1;
  uint64_t limit = 0;
};

// Collects or prints rows up to the limit.
class Rows {
 public:
  Rows(const Output& output, const ShowOptions& options)
      : output_(output),
        options_(options),
        left_(options.limit == 0 ? std::numeric_limits<uint64_t>::max() : options.limit) {}

  // False when there is no need for more.
  bool Take(const keyd_v1::JournalRecord& row) {
    if (left_ == 0) return false;
    if (row.sequence() < options_.from || !Fits(options_.filter, row)) return true;
    if (output_.json()) {
      records_.push_back(RowJson(row));
    } else {
      output_.Line(RowLine(row));
    }
    any_ = true;
    return --left_ != 0;
  }
  void Finish() {
    if (output_.json()) {
      output_.Json(JsonObject{{"records", std::move(records_)}});
    } else if (!any_) {
      output_.Line("no records");
    }
  }

 private:
  const Output& output_;
  const ShowOptions& options_;
  uint64_t left_;
  bool any_ = false;
  JsonArray records_;
};

absl::Status FromKeyd(Session& session, const ShowOptions& options, Rows& rows) {
  Worker worker(session);
  if (absl::Status need = worker.Need({"keyd"}); !need.ok()) return need;
  JournalClient journal(session.layout);
  return journal.List(options.from, false,
                      [&](const keyd_v1::JournalRecord& row) { return rows.Take(row); });
}

absl::Status FromFiles(Session& session, const ShowOptions& options, Rows& rows) {
  JournalArchive::Visitor visitor;
  visitor.record = [&](const JournalFrame& frame) { rows.Take(RowOf(frame.record)); };
  JournalState state;
  ArchiveFacts facts;
  return Open(session, options.files)->Read(state, visitor, facts);
}

int RunShow(Session& session, const ShowOptions& options) {
  Rows rows(session.output, options);
  const absl::Status status =
      options.files.given() ? FromFiles(session, options, rows) : FromKeyd(session, options, rows);
  if (!status.ok()) {
    session.output.Error("audit", status);
    return kExitFailure;
  }
  rows.Finish();
  return kExitOk;
}

}  // namespace

void AddAuditShow(CLI::App& audit, Chosen& chosen) {
  auto options = std::make_shared<ShowOptions>();
  CLI::App* show = audit.add_subcommand("show", "Records in order");
  AddFilterOptions(*show, options->filter);
  show->add_option("--from", options->from, "First sequence number")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  show->add_option("--limit", options->limit, "At most N records; 0 is all")->capture_default_str();
  AddFileOptions(*show, options->files);
  show->footer(
      "Columns: sequence, time, role of the caller, intent, unit, subject, outcome, the first "
      "digits of\n"
      "the signed octets' SHA-256 or the cause of a refusal. For scripts: --json, which has all of "
      "it.\n\n"
      "Example: auspex audit show --intent sign_result --since 2026-01-31\n"
      "Example: auspex audit show --outcome refused --limit 20\n"
      "Example: auspex audit show --journal copy-of-journal --unit unit-17");
  Runs(show, chosen, options, RunShow);
}

}  // namespace auspex::cli
