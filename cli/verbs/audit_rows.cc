// SPDX-License-Identifier: AGPL-3.0-only
// Rows of the journal: filters, and how a row is shown.
#include "cli/output/output.h"
#include "cli/verbs/arguments.h"
#include "cli/verbs/audit_verbs.h"
#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/journal/words.h"

namespace auspex::cli {
namespace {

std::vector<std::string> Words() {
  std::vector<std::string> words;
  for (const std::string_view word : IntentWords()) words.emplace_back(word);
  return words;
}

std::string OrDash(const std::string& text) { return text.empty() ? "-" : Clean(text); }

}  // namespace

void AddFilterOptions(CLI::App& verb, RowFilter& filter) {
  verb.add_option("--intent", filter.intent, "Of this intent, for example sign_result")
      ->check(CLI::IsMember(Words()).description("INTENT"))
      ->type_name("");
  verb.add_option("--unit", filter.unit, "About this unit")->check(IsA<UnitId>("UNIT_ID"));
  verb.add_option("--outcome", filter.outcome, "signed, done or refused")
      ->check(CLI::IsMember({"signed", "done", "refused"}).description("OUTCOME"))
      ->type_name("");
  verb.add_option("--since", filter.since, "Not before this time (UTC unless it has a zone)")
      ->check(IsTime());
  verb.add_option("--until", filter.until, "Before this time")->check(IsTime());
}

bool Fits(const RowFilter& filter, const keyd_v1::JournalRecord& row) {
  const int64_t time = row.time_unix_micros();
  return (filter.intent.empty() || filter.intent == row.intent()) &&
         (filter.unit.empty() || filter.unit == row.unit()) &&
         (filter.outcome.empty() || filter.outcome == row.outcome()) &&
         (filter.since.empty() || time >= *ParseSince(filter.since)) &&
         (filter.until.empty() || time < *ParseSince(filter.until));
}

keyd_v1::JournalRecord RowOf(const JournalRecord& record) {
  keyd_v1::JournalRecord row;
  row.set_sequence(record.sequence);
  row.set_time_unix_micros(record.time_micros);
  row.set_role(std::string(RoleWord(record.caller.role)));
  row.set_peer_pid(record.caller.pid);
  row.set_peer_uid(record.caller.uid);
  row.set_intent(std::string(IntentWord(record.intent)));
  row.set_subject(record.subject);
  row.set_unit(record.unit);
  row.set_cause(record.cause);
  row.set_created(record.created);
  row.set_outcome(std::string(OutcomeWord(record.outcome)));
  if (record.outcome == Outcome::kSigned) row.set_digest(std::string(AsText(record.digest)));
  row.set_leaf_hash(std::string(AsText(record.leaf)));
  return row;
}

JsonObject RowJson(const keyd_v1::JournalRecord& row) {
  return {{"sequence", row.sequence()},
          {"time", ShowTime(row.time_unix_micros())},
          {"time_unix_micros", row.time_unix_micros()},
          {"role", row.role()},
          {"peer_pid", row.peer_pid()},
          {"peer_uid", row.peer_uid()},
          {"intent", row.intent()},
          {"subject", row.subject()},
          {"unit", row.unit()},
          {"outcome", row.outcome()},
          {"cause", row.cause()},
          {"created", row.created()},
          {"digest", HexEncode(row.digest())},
          {"leaf_hash", HexEncode(row.leaf_hash())}};
}

std::string RowLine(const keyd_v1::JournalRecord& row) {
  std::string line = Cat(row.sequence(), "  ", ShowTime(row.time_unix_micros()), "  ",
                         Clean(row.role()), "  ", Clean(row.intent()), "  ", OrDash(row.unit()),
                         "  ", OrDash(row.subject()), "  ", Clean(row.outcome()));
  if (!row.digest().empty()) line += Cat("  ", HexEncode(row.digest()).substr(0, 16));
  if (!row.cause().empty()) line += Cat("  [", Clean(row.cause()), "]");
  return line;
}

}  // namespace auspex::cli
