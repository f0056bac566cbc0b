// SPDX-License-Identifier: AGPL-3.0-only
#include "common/journal/export.h"

#include <optional>
#include <utility>

#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/base/status_macros.h"
#include "common/journal/words.h"
#include "common/json/canonical.h"
#include "common/json/utf8.h"

namespace auspex {
namespace {

void AddText(JsonObject& object, std::string name, const std::string& text) {
  if (IsUtf8(text)) {
    object.emplace(std::move(name), text);
  } else {
    object.emplace(Cat(name, "_hex"), HexEncode(text));
  }
}

class Exporter {
 public:
  Exporter(const ExportRange& range, const LineSink& sink) : range_(range), sink_(sink) {}

  absl::StatusOr<ExportSummary> Run(const JournalArchive& archive) {
    JournalArchive::Visitor visitor;
    visitor.begin = [this] { KeepBefore(); };
    visitor.record = [this](const JournalFrame& frame) { Record(frame.record); };
    visitor.checkpoint = [this](const JournalFrame& frame) { Checkpoint(frame.note); };
    ArchiveFacts facts;
    RETURN_IF_ERROR(archive.Read(state_, visitor, facts));
    RETURN_IF_ERROR(sunk_);
    if (summary_.records == 0) {
      return absl::OutOfRangeError(
          Cat("no record from ", range_.first, " on: the journal has ", state_.records()));
    }
    // Records behind the range were read on, so that a damaged journal is never exported as whole.
    Line("end", JsonObject{{"records", end_.size()},
                           {"root", HexEncode(AsText(end_.Root()))},
                           {"checkpoints", summary_.checkpoints}});
    RETURN_IF_ERROR(sunk_);
    return summary_;
  }

 private:
  void Line(std::string_view kind, JsonValue value) {
    if (!sunk_.ok()) return;
    sunk_ = sink_(WriteCanonical(JsonObject{{std::string(kind), std::move(value)}}) + "\n");
  }

  // What the head says, as long as the range has not begun.
  void KeepBefore() {
    if (summary_.records != 0) return;
    before_ = state_.tree();
    note_before_ = state_.newest_note();
  }

  void Head() {
    JsonArray subtrees;
    for (const Digest32& subtree : before_.subtrees()) {
      subtrees.push_back(HexEncode(AsText(subtree)));
    }
    Line("head", JsonObject{{"format", "auspex-journal-export"},
                            {"version", 1},
                            {"journal_id", HexEncode(state_.journal_id())},
                            {"records_before", before_.size()},
                            {"subtrees_before", std::move(subtrees)},
                            {"checkpoint_before", note_before_}});
  }

  void Record(const JournalRecord& record) {
    if (record.sequence >= range_.first && record.sequence <= range_.last) {
      if (summary_.records == 0) {
        summary_.first = record.sequence;
        Head();
      }
      ++summary_.records;
      Line("record", RecordToJson(record));
      end_ = state_.tree();
    }
    KeepBefore();
  }

  void Checkpoint(const std::string& note) {
    if (summary_.records != 0 && state_.records() == end_.size()) {
      ++summary_.checkpoints;
      Line("checkpoint", note);
    }
    KeepBefore();
  }

  const ExportRange range_;
  const LineSink& sink_;
  absl::Status sunk_;
  JournalState state_;
  CompactTree before_, end_;
  std::string note_before_;
  ExportSummary summary_;
};

}  // namespace

JsonObject RecordToJson(const JournalRecord& record) {
  JsonObject object{{"sequence", record.sequence},
                    {"time_unix_micros", record.time_micros},
                    {"role", RoleWord(record.caller.role)},
                    {"peer_pid", record.caller.pid},
                    {"peer_uid", record.caller.uid},
                    {"intent", IntentWord(record.intent)},
                    {"outcome", OutcomeWord(record.outcome)},
                    {"created", record.created},
                    {"digest", HexEncode(AsText(record.digest))},
                    {"bound", HexEncode(AsText(record.bound))},
                    {"leaf_hash", HexEncode(AsText(record.leaf))}};
  AddText(object, "subject", record.subject);
  AddText(object, "unit", record.unit);
  AddText(object, "cause", record.cause);
  return object;
}

absl::StatusOr<ExportSummary> ExportJournal(const JournalArchive& archive, const ExportRange& range,
                                            const LineSink& sink) {
  return Exporter(range, sink).Run(archive);
}

}  // namespace auspex
