// SPDX-License-Identifier: AGPL-3.0-only
// One record of the journal as a value, and its octets (docs/formats/journal.md). Encoding and
// decoding are exact inverses: what decodes is re-encoded to the same octets. Pure functions, safe
// from any thread.
#ifndef AUSPEX_COMMON_JOURNAL_RECORD_H_
#define AUSPEX_COMMON_JOURNAL_RECORD_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/journal/digest.h"
#include "common/journal/intent.h"

namespace auspex {

// Each text of a record is cut to this many octets when it is encoded.
inline constexpr size_t kMaxRecordText = 255;
inline constexpr size_t kMinRecordBody = 103;
inline constexpr size_t kMaxRecordBody = kMinRecordBody + 3 * kMaxRecordText;

// What happened, before it has a place in the journal.
struct JournalEntry {
  Caller caller;
  Intent intent = Intent::kNone;
  Outcome outcome = Outcome::kRefused;
  int64_t time_micros = 0;  // Unix
  int64_t created = 0;      // the request's `created`, Unix seconds; 0 when there is none
  Digest32 digest{};        // SHA-256 of the signed octets; zero when nothing was signed
  // submit_result: SHA-256 of the body. sign_checkpoint: SHA-256 of the newest signed note before
  // it, zero for the first. Else zero.
  Digest32 bound{};
  std::string subject;  // assignment, result, manifest, account or key it is about
  std::string unit;     // unit id, where there is one
  std::string cause;    // of a refusal
};

struct JournalRecord : JournalEntry {
  uint64_t sequence = 0;  // from 1
  Digest32 leaf{};        // the record's leaf in the tree: SHA-256(0x00 || body)
};

// The body of `entry` at `sequence`: kMinRecordBody..kMaxRecordBody octets.
std::string EncodeRecordBody(const JournalEntry& entry, uint64_t sequence);
// The record of `body`, without its leaf; nullopt when a field has a value that EncodeRecordBody
// never writes.
std::optional<JournalRecord> DecodeRecordBody(std::string_view body);

// A frame's body is a record's (its first octet is 1) or a checkpoint's: this octet and a signed
// note. The check behind a body: a record's is its leaf in the tree, a checkpoint's its SHA-256.
inline constexpr uint8_t kRecordKind = 1, kCheckpointKind = 2;
std::string EncodeCheckpointBody(std::string_view note);
Digest32 FrameCheck(std::string_view body);
// Appends length word, body and check.
void AppendFrame(std::string& out, std::string_view body, const Digest32& check, bool begins_flush);

// The length word in front of a body: its low half is the length, its high half the complement, so
// that a damaged length is never taken for a record that was cut short. `begins_flush` marks the
// first of the records that became durable together.
uint32_t LengthWord(size_t body_octets, bool begins_flush);
// The length, or nullopt when the word is damaged or outside kMinRecordBody..kMaxRecordBody.
std::optional<size_t> LengthOfWord(uint32_t word);
bool BeginsFlush(uint32_t word);

// Little-endian integers.
void AppendLe(std::string& out, uint64_t value, size_t octets);
uint64_t ReadLe(std::string_view octets);

}  // namespace auspex

#endif  // AUSPEX_COMMON_JOURNAL_RECORD_H_
