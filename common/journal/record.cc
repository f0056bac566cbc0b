// SPDX-License-Identifier: AGPL-3.0-only
#include "common/journal/record.h"

#include "common/crypto/sha256.h"
#include "common/journal/merkle.h"

namespace auspex {
namespace {

constexpr uint32_t kBeginsFlush = 0x8000;  // in the length word

void AppendText(std::string& out, std::string_view text) {
  const std::string_view cut = text.substr(0, kMaxRecordText);
  AppendLe(out, cut.size(), 1);
  out.append(cut);
}

// Takes a text off the front of `rest`; false when it is cut short.
bool TakeText(std::string_view& rest, std::string& text) {
  if (rest.empty()) return false;
  const size_t size = ReadLe(rest.substr(0, 1));
  if (rest.size() < 1 + size) return false;
  text = std::string(rest.substr(1, size));
  rest.remove_prefix(1 + size);
  return true;
}

}  // namespace

void AppendLe(std::string& out, uint64_t value, size_t octets) {
  for (size_t i = 0; i < octets; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

uint64_t ReadLe(std::string_view octets) {
  uint64_t value = 0;
  for (size_t i = octets.size(); i-- > 0;) value = value << 8 | static_cast<uint8_t>(octets[i]);
  return value;
}

std::string EncodeRecordBody(const JournalEntry& entry, uint64_t sequence) {
  std::string body;
  body.reserve(kMinRecordBody + entry.subject.size() + entry.unit.size() + entry.cause.size());
  AppendLe(body, kRecordKind, 1);
  AppendLe(body, static_cast<uint8_t>(entry.caller.role), 1);
  AppendLe(body, static_cast<uint8_t>(entry.intent), 1);
  AppendLe(body, static_cast<uint8_t>(entry.outcome), 1);
  AppendLe(body, entry.caller.pid, 4);
  AppendLe(body, entry.caller.uid, 4);
  AppendLe(body, sequence, 8);
  AppendLe(body, static_cast<uint64_t>(entry.time_micros), 8);
  AppendLe(body, static_cast<uint64_t>(entry.created), 8);
  body.append(AsText(entry.digest));
  body.append(AsText(entry.bound));
  AppendText(body, entry.subject);
  AppendText(body, entry.unit);
  AppendText(body, entry.cause);
  return body;
}

std::optional<JournalRecord> DecodeRecordBody(std::string_view body) {
  if (body.size() < kMinRecordBody || body.size() > kMaxRecordBody) return std::nullopt;
  if (static_cast<uint8_t>(body[0]) != kRecordKind) return std::nullopt;
  const auto role = RoleOf(static_cast<uint8_t>(body[1]));
  const auto intent = IntentOf(static_cast<uint8_t>(body[2]));
  const auto outcome = OutcomeOf(static_cast<uint8_t>(body[3]));
  if (!role || !intent || !outcome) return std::nullopt;
  JournalRecord record;
  record.caller.role = *role;
  record.intent = *intent;
  record.outcome = *outcome;
  record.caller.pid = static_cast<uint32_t>(ReadLe(body.substr(4, 4)));
  record.caller.uid = static_cast<uint32_t>(ReadLe(body.substr(8, 4)));
  record.sequence = ReadLe(body.substr(12, 8));
  record.time_micros = static_cast<int64_t>(ReadLe(body.substr(20, 8)));
  record.created = static_cast<int64_t>(ReadLe(body.substr(28, 8)));
  record.digest = ToDigest(body.substr(36, 32));
  record.bound = ToDigest(body.substr(68, 32));
  std::string_view rest = body.substr(100);
  if (!TakeText(rest, record.subject) || !TakeText(rest, record.unit) ||
      !TakeText(rest, record.cause) || !rest.empty()) {
    return std::nullopt;
  }
  return record;
}

std::string EncodeCheckpointBody(std::string_view note) {
  std::string body(1, static_cast<char>(kCheckpointKind));
  body += note;
  return body;
}

Digest32 FrameCheck(std::string_view body) {
  return !body.empty() && static_cast<uint8_t>(body[0]) == kRecordKind ? LeafHash(body)
                                                                       : ToDigest(Sha256(body));
}

void AppendFrame(std::string& out, std::string_view body, const Digest32& check,
                 bool begins_flush) {
  AppendLe(out, LengthWord(body.size(), begins_flush), 4);
  out += body;
  out += AsText(check);
}

uint32_t LengthWord(size_t body_octets, bool begins_flush) {
  const uint32_t low =
      (static_cast<uint32_t>(body_octets) & 0x7fff) | (begins_flush ? kBeginsFlush : 0);
  return low | (~low & 0xffff) << 16;
}

std::optional<size_t> LengthOfWord(uint32_t word) {
  const size_t length = word & 0x7fff;
  if (LengthWord(length, BeginsFlush(word)) != word || length < kMinRecordBody ||
      length > kMaxRecordBody) {
    return std::nullopt;
  }
  return length;
}

bool BeginsFlush(uint32_t word) { return (word & kBeginsFlush) != 0; }

}  // namespace auspex
