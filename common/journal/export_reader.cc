// SPDX-License-Identifier: AGPL-3.0-only
#include <algorithm>
#include <bit>
#include <optional>
#include <utility>
#include <vector>

#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/base/status_macros.h"
#include "common/journal/export.h"
#include "common/journal/source.h"
#include "common/journal/words.h"
#include "common/json/reader.h"

namespace auspex {
namespace {

constexpr size_t kMaxLine = 16 * 1024;
constexpr size_t kBufferOctets = 256 * 1024;

// The lines of a file, one after the other.
class Lines {
 public:
  explicit Lines(const JournalSource& source) : source_(source) {}

  // The next line without its line feed; nullopt at the end. DATA_LOSS for a line that is too long
  // or not ended.
  absl::StatusOr<std::optional<std::string>> Next() {
    offset_ += taken_;
    taken_ = 0;
    size_t end = buffer_.find('\n', at_);
    if (end == std::string::npos) {
      buffer_.erase(0, at_);
      at_ = 0;
      const size_t kept = buffer_.size();
      buffer_.resize(kept + kBufferOctets);
      ASSIGN_OR_RETURN(const size_t got,
                       source_.ReadAt(offset_ + kept, std::span(buffer_).subspan(kept)));
      buffer_.resize(kept + got);
      if (buffer_.empty()) return std::optional<std::string>();
      end = buffer_.find('\n');
    }
    if (end == std::string::npos || end - at_ > kMaxLine) {
      return absl::DataLossError(end == std::string::npos ? "the last line has no end"
                                                          : "the line is too long");
    }
    std::optional<std::string> line(std::in_place, buffer_, at_, end - at_);
    taken_ = end + 1 - at_;
    at_ = end + 1;
    return line;
  }
  // Where the line that Next gave, or failed at, begins.
  uint64_t offset() const { return offset_; }

 private:
  const JournalSource& source_;
  std::string buffer_;
  size_t at_ = 0, taken_ = 0;
  uint64_t offset_ = 0;
};

absl::Status Bad(const std::string& what) { return absl::DataLossError(what); }

// Takes members of one object; whoever took fewer than there are has not understood the line.
class Members {
 public:
  explicit Members(const JsonValue& value) : object_(value.as_object()) {}

  const JsonValue* Take(std::string_view name) {
    if (object_ == nullptr) return nullptr;
    const auto found = object_->find(name);
    if (found == object_->end()) return nullptr;
    ++taken_;
    return &found->second;
  }
  bool Number(std::string_view name, int64_t least, int64_t most, int64_t& out) {
    const JsonValue* value = Take(name);
    const std::optional<int64_t> number = value == nullptr ? std::nullopt : value->AsInt64();
    if (!number || *number < least || *number > most) return false;
    out = *number;
    return true;
  }
  bool Hex(std::string_view name, size_t octets, std::string& out) {
    const JsonValue* value = Take(name);
    return value != nullptr && HexOf(*value, octets, out);
  }
  // A text under its name, or its octets as hex under NAME_hex.
  bool Text(const std::string& name, std::string& out) {
    if (const JsonValue* value = Take(name)) {
      if (value->as_string() == nullptr) return false;
      out = *value->as_string();
      return true;
    }
    const JsonValue* value = Take(Cat(name, "_hex"));
    if (value == nullptr || value->as_string() == nullptr) return false;
    const auto octets = HexDecode(*value->as_string());
    if (octets) out = *octets;
    return octets.has_value();
  }
  // True when every member was taken.
  bool Done() const { return object_ != nullptr && taken_ == object_->size(); }

  static bool HexOf(const JsonValue& value, size_t octets, std::string& out) {
    if (value.as_string() == nullptr) return false;
    const auto decoded = HexDecode(*value.as_string());
    if (!decoded || decoded->size() != octets) return false;
    out = *decoded;
    return true;
  }

 private:
  const JsonObject* object_;
  size_t taken_ = 0;
};

std::string_view WordIn(Members& members, std::string_view name) {
  const JsonValue* value = members.Take(name);
  return value == nullptr || value->as_string() == nullptr ? std::string_view()
                                                           : *value->as_string();
}

absl::StatusOr<SegmentHeader> ReadHead(const JsonValue& value) {
  Members members(value);
  SegmentHeader header;
  int64_t version = 0, before = 0;
  if (WordIn(members, "format") != "auspex-journal-export") return Bad("this is no export");
  if (!members.Number("version", 0, 1 << 30, version)) return Bad("head: no version");
  if (version != 1) return absl::FailedPreconditionError("head: a version of another release");
  const JsonValue* subtrees = nullptr;
  if (!members.Hex("journal_id", kJournalIdOctets, header.journal_id) ||
      !members.Number("records_before", 0, INT64_MAX, before) ||
      (subtrees = members.Take("subtrees_before")) == nullptr || subtrees->as_array() == nullptr ||
      !members.Text("checkpoint_before", header.last_note) || !members.Done()) {
    return Bad("head: a member is missing or of the wrong kind");
  }
  std::vector<Digest32> digests;
  std::string octets;
  for (const JsonValue& subtree : *subtrees->as_array()) {
    if (!Members::HexOf(subtree, sizeof(Digest32), octets)) return Bad("head: no digest");
    digests.push_back(ToDigest(octets));
  }
  auto tree = CompactTree::Continue(static_cast<uint64_t>(before), std::move(digests));
  if (!tree) return Bad("head: the subtrees do not fit their count");
  header.before = *std::move(tree);
  return header;
}

absl::StatusOr<JournalRecord> ReadRecord(const JsonValue& value) {
  Members members(value);
  JournalRecord record;
  int64_t sequence = 0, pid = 0, uid = 0;
  std::string digest, bound, leaf;
  const auto role = RoleOfWord(WordIn(members, "role"));
  const auto intent = IntentOfWord(WordIn(members, "intent"));
  const auto outcome = OutcomeOfWord(WordIn(members, "outcome"));
  if (!role || !intent || !outcome || !members.Number("sequence", 1, INT64_MAX, sequence) ||
      !members.Number("time_unix_micros", INT64_MIN, INT64_MAX, record.time_micros) ||
      !members.Number("peer_pid", 0, UINT32_MAX, pid) ||
      !members.Number("peer_uid", 0, UINT32_MAX, uid) ||
      !members.Number("created", INT64_MIN, INT64_MAX, record.created) ||
      !members.Hex("digest", 32, digest) || !members.Hex("bound", 32, bound) ||
      !members.Hex("leaf_hash", 32, leaf) || !members.Text("subject", record.subject) ||
      !members.Text("unit", record.unit) || !members.Text("cause", record.cause) ||
      !members.Done() ||
      std::max({record.subject.size(), record.unit.size(), record.cause.size()}) > kMaxRecordText) {
    return Bad("a member of the record is missing or of the wrong kind");
  }
  record.sequence = static_cast<uint64_t>(sequence);
  record.caller = {*role, static_cast<uint32_t>(pid), static_cast<uint32_t>(uid)};
  record.intent = *intent;
  record.outcome = *outcome;
  record.digest = ToDigest(digest);
  record.bound = ToDigest(bound);
  record.leaf = LeafHash(EncodeRecordBody(record, record.sequence));
  if (AsText(record.leaf) != leaf) return Bad("leaf_hash is not the one of these fields");
  return record;
}

class Export final : public JournalArchive {
 public:
  explicit Export(std::string path) : JournalArchive(std::move(path)) {}
  absl::Status Read(JournalState& state, const Visitor& visitor,
                    ArchiveFacts& facts) const override;
  // Its checkpoints are among its lines.
  absl::StatusOr<std::string> LooseNote() const override { return std::string(); }

 private:
  absl::Status Line(std::string_view line, JournalState& state, const Visitor& visitor,
                    ArchiveFacts& facts, bool& ended) const;
};

absl::Status Export::Line(std::string_view line, JournalState& state, const Visitor& visitor,
                          ArchiveFacts& facts, bool& ended) const {
  const JsonLimits limits{.max_octets = kMaxLine,
                          .max_depth = 4,
                          .max_values = 200,
                          .max_integer_digits = 20,
                          .allow_non_finite = false,
                          .allow_duplicate_names = false};
  absl::StatusOr<JsonValue> value = ReadJson(line, limits);
  if (!value.ok()) return Bad(std::string(value.status().message()));
  const JsonObject* object = value->as_object();
  if (object == nullptr || object->size() != 1) return Bad("not an object with one member");
  if (ended) return Bad("a line follows the end");
  const auto& [kind, content] = *object->begin();
  JournalFrame frame;
  frame.offset = facts.place.offset;
  if (facts.in_header) {
    if (kind != "head") return Bad("this is no export of a journal: it does not begin with a head");
    ASSIGN_OR_RETURN(const SegmentHeader header, ReadHead(content));
    RETURN_IF_ERROR(state.BeginSegment(facts.file, header));
    facts.in_header = false;
    if (visitor.begin) visitor.begin();
    return absl::OkStatus();
  }
  if (kind == "record") {
    ASSIGN_OR_RETURN(frame.record, ReadRecord(content));
    if (frame.record.sequence != state.records() + 1) return Bad("wrong sequence number");
    RETURN_IF_ERROR(state.TakeRecord(frame));
    if (visitor.record) visitor.record(frame);
    return absl::OkStatus();
  }
  if (kind == "checkpoint") {
    if (content.as_string() == nullptr) return Bad("the checkpoint is no text");
    frame.note = *content.as_string();
    absl::StatusOr<SignedCheckpoint> note = ParseNote(frame.note);
    if (!note.ok()) return Bad(std::string(note.status().message()));
    frame.checkpoint = *std::move(note);
    RETURN_IF_ERROR(state.TakeCheckpoint(frame));
    if (visitor.checkpoint) visitor.checkpoint(frame);
    return absl::OkStatus();
  }
  if (kind != "end") return Bad("a line of an unknown kind");
  Members members(content);
  int64_t records = 0, checkpoints = 0;
  std::string root;
  if (!members.Number("records", 0, INT64_MAX, records) || !members.Hex("root", 32, root) ||
      !members.Number("checkpoints", 0, INT64_MAX, checkpoints) || !members.Done()) {
    return Bad("end: a member is missing or of the wrong kind");
  }
  if (static_cast<uint64_t>(records) != state.records() || root != AsText(state.tree().Root())) {
    return Bad("the end names another number of records or another root than the lines give");
  }
  if (static_cast<uint64_t>(checkpoints) != state.checkpoints()) {
    return Bad("the end names another number of checkpoints than there are lines");
  }
  ended = true;
  return absl::OkStatus();
}

absl::Status Export::Read(JournalState& state, const Visitor& visitor, ArchiveFacts& facts) const {
  ASSIGN_OR_RETURN(const auto source, OpenJournalSource(name()));
  ASSIGN_OR_RETURN(facts.octets, source->Size());
  facts.segments = 1;
  facts.file = name().substr(name().rfind('/') + 1);
  facts.in_header = true;
  Lines lines(*source);
  bool ended = false;
  for (uint64_t number = 1;; ++number) {
    const bool in_header = facts.in_header;
    absl::StatusOr<std::optional<std::string>> line = lines.Next();
    facts.place = {lines.offset(), in_header ? 0 : state.records() + 1};
    absl::Status status = line.status();
    if (status.ok() && *line) status = Line(**line, state, visitor, facts, ended);
    if (status.ok() && !*line && !ended) status = Bad("the file ends without its last line");
    if (status.ok() && !*line) return absl::OkStatus();
    if (absl::IsDataLoss(status)) {
      const std::string cause(status.message());
      // What the state says names the place already.
      if (cause.starts_with("journal: ")) return status;
      return absl::DataLossError(Cat("journal: ", facts.file, ": damaged at offset ",
                                     lines.offset(), " (line ", number, "): ", cause));
    }
    RETURN_IF_ERROR(status);
  }
}

}  // namespace

std::unique_ptr<JournalArchive> OpenJournalExport(std::string path) {
  return std::make_unique<Export>(std::move(path));
}

}  // namespace auspex
