// SPDX-License-Identifier: AGPL-3.0-only
#include "common/journal/audit.h"

#include <utility>

#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/base/status_macros.h"

namespace auspex {
namespace {

constexpr size_t kMaxNamedKeys = 1000;

// A note that the tree must agree with once it has grown to the note's size.
struct Watched {
  std::string name;
  SignedCheckpoint note;
  bool kept = false;             // else the one beside the segments
  std::optional<Digest32> root;  // the journal's at that size
};

class Audit {
 public:
  explicit Audit(const AuditRequest& request) {
    for (const std::string& key : request.trusted_keys) {
      report_.keys.push_back({.public_key = key, .trusted = true});
    }
    for (const KeptNote& kept : request.kept) {
      watched_.push_back({kept.name, kept.note, true, std::nullopt});
    }
    any_trusted_ = !request.trusted_keys.empty();
  }

  absl::StatusOr<AuditReport> Run(const JournalArchive& archive);

 private:
  void Begin();
  void Record(const JournalFrame& frame);
  void Note(const SignedCheckpoint& note, const std::string& text, const JournalFrame* frame);
  void NameKey(const JournalRecord& record);
  void LookAtRoots();
  void JudgeWatched(const Watched& watched);
  // The key that `note` is signed with, or why there is none.
  absl::StatusOr<AuditKey*> KeyOf(const SignedCheckpoint& note);
  // The first fault is the report's.
  void Fault(AuditFault fault) {
    if (!report_.fault) report_.fault = std::move(fault);
  }

  AuditReport report_;
  JournalState state_;
  std::vector<Watched> watched_;
  bool any_trusted_ = false;
};

absl::StatusOr<AuditKey*> Audit::KeyOf(const SignedCheckpoint& note) {
  for (AuditKey& key : report_.keys) {
    const absl::Status status = CheckNote(note, key.public_key);
    if (status.ok()) return &key;
    if (!absl::IsPermissionDenied(status)) return status;
  }
  return absl::PermissionDeniedError(
      report_.keys.empty() ? "no key is known that could have signed the checkpoint"
                           : "checkpoint: signed by a key that was not given and that the journal "
                             "does not name");
}

void Audit::LookAtRoots() {
  for (Watched& watched : watched_) {
    if (!watched.root && watched.note.checkpoint.size == state_.records()) {
      watched.root = state_.tree().Root();
    }
  }
}

void Audit::Begin() {
  report_.journal_id = state_.journal_id();
  report_.origin = state_.origin();
  report_.first = state_.records() + 1;
  LookAtRoots();
  // A journal whose first segments are gone carries the newest checkpoint before them in its head.
  if (!state_.newest_note().empty()) Note(state_.newest(), state_.newest_note(), nullptr);
}

void Audit::NameKey(const JournalRecord& record) {
  if (record.intent != Intent::kCreateKey && record.intent != Intent::kImportKey) return;
  if (record.outcome == Outcome::kRefused) return;
  const std::optional<std::string> key = HexDecode(record.subject);
  if (!key || key->size() != 32) return;
  for (AuditKey& known : report_.keys) {
    if (known.public_key != *key) continue;
    if (known.named_at == 0) known.named_at = record.sequence;
    return;
  }
  if (report_.keys.size() < kMaxNamedKeys) {
    report_.keys.push_back({.public_key = *key, .named_at = record.sequence});
  }
}

void Audit::Record(const JournalFrame& frame) {
  if (report_.fault) return;
  const JournalRecord& record = frame.record;
  if (report_.last == 0) report_.first_time_micros = record.time_micros;
  if (report_.last != 0 && record.time_micros < report_.last_time_micros) {
    ++report_.clock_steps_back;
  }
  report_.last = record.sequence;
  report_.last_time_micros = record.time_micros;
  OutcomeCounts& counts = report_.intents[record.intent];
  if (record.outcome == Outcome::kSigned) ++counts.signed_;
  if (record.outcome == Outcome::kDone) ++counts.done;
  if (record.outcome == Outcome::kRefused) ++counts.refused;
  NameKey(record);
  LookAtRoots();
}

void Audit::Note(const SignedCheckpoint& note, const std::string& text, const JournalFrame* frame) {
  if (report_.fault) return;
  ++report_.checkpoints;
  const absl::StatusOr<AuditKey*> key = KeyOf(note);
  if (!key.ok()) {
    // The record that names the key may lie before the files, or before the journal.
    const bool key_may_be_elsewhere = report_.first > 1 || report_.keys.empty();
    if (absl::IsPermissionDenied(key.status()) && key_may_be_elsewhere) return;
    Fault({report_.facts.file, frame == nullptr ? 0 : frame->offset, state_.records(),
           std::string(key.status().message())});
    return;
  }
  ++report_.verified;
  ++(*key)->checkpoints;
  report_.newest_note = text;
  report_.newest = note.checkpoint;
  if ((*key)->trusted || !any_trusted_) report_.attested = note.checkpoint.size;
}

void Audit::JudgeWatched(const Watched& watched) {
  const Checkpoint& checkpoint = watched.note.checkpoint;
  const auto fault = [&](uint64_t record, std::string cause) {
    Fault({watched.name, 0, record, std::move(cause)});
  };
  if (checkpoint.origin != report_.origin) {
    return fault(0, Cat("the checkpoint is of another journal, ", checkpoint.origin, "; this is ",
                        report_.origin));
  }
  if (checkpoint.size > state_.records()) {
    return fault(state_.records() + 1,
                 Cat("the checkpoint was signed over ", checkpoint.size,
                     " records and the journal has only ", state_.records(),
                     ": records were cut off, or an older journal was put back"));
  }
  if (!watched.root) {
    return fault(0, Cat("the checkpoint is of ", checkpoint.size,
                        " records and the files begin with record ", report_.first,
                        ": what lies between is not there to be compared"));
  }
  if (const absl::StatusOr<AuditKey*> key = KeyOf(watched.note); !key.ok()) {
    return fault(0, std::string(key.status().message()));
  }
  if (*watched.root != checkpoint.root) {
    return fault(checkpoint.size, Cat("the first ", checkpoint.size,
                                      " records are not those that the checkpoint was "
                                      "signed over: the journal was rewritten"));
  }
  if (watched.kept) report_.continues.push_back(watched.name);
}

absl::StatusOr<AuditReport> Audit::Run(const JournalArchive& archive) {
  // Before the segments: keyd may be writing, and may have signed another one when they are read.
  ASSIGN_OR_RETURN(const std::string loose, archive.LooseNote());
  std::optional<absl::Status> loose_fault;
  if (!loose.empty()) {
    absl::StatusOr<SignedCheckpoint> note = ParseNote(loose);
    if (note.ok()) {
      watched_.push_back({kLooseNoteName, *std::move(note), false, std::nullopt});
    } else {
      loose_fault = note.status();
    }
  }
  JournalArchive::Visitor visitor;
  visitor.begin = [this] { Begin(); };
  visitor.record = [this](const JournalFrame& frame) { Record(frame); };
  visitor.checkpoint = [this](const JournalFrame& frame) {
    Note(frame.checkpoint, frame.note, &frame);
  };
  const absl::Status read = archive.Read(state_, visitor, report_.facts);
  report_.root = state_.tree().Root();
  if (!read.ok()) {
    if (!absl::IsDataLoss(read) && !absl::IsFailedPrecondition(read)) return read;
    const ArchiveFacts& facts = report_.facts;
    Fault({facts.file, facts.in_header ? 0 : facts.place.offset,
           facts.in_header ? 0 : facts.place.next_sequence, std::string(read.message())});
  }
  if (report_.fault) return std::move(report_);
  if (loose_fault) Fault({kLooseNoteName, 0, 0, std::string(loose_fault->message())});
  for (const Watched& watched : watched_) JudgeWatched(watched);
  return std::move(report_);
}

}  // namespace

absl::StatusOr<AuditReport> AuditJournal(const JournalArchive& archive,
                                         const AuditRequest& request) {
  return Audit(request).Run(archive);
}

}  // namespace auspex
