// SPDX-License-Identifier: AGPL-3.0-only
// Checkpoints of the journal as notes: the text of C2SP tlog-checkpoint (origin, size, root) and
// the one Ed25519 signature line of C2SP signed-note. keyd composes the text and signs it; anyone
// with the public key checks it. Pure functions over values, safe from any thread.
//
//   auspex.journal/0f1e2d3c4b5a69788796a5b4c3d2e1f0
//   1234
//   MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA=
//
//   — auspex.journal/0f1e2d3c4b5a69788796a5b4c3d2e1f0 <base64 of key id (4) and signature (64)>
#ifndef AUSPEX_COMMON_JOURNAL_NOTE_H_
#define AUSPEX_COMMON_JOURNAL_NOTE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/journal/digest.h"

namespace auspex {

// What a checkpoint says: this journal's tree had this root after so many records.
struct Checkpoint {
  std::string origin;  // "auspex.journal/" and the journal's id as 32 hex digits; also the key name
  uint64_t size = 0;   // records
  Digest32 root{};     // RFC 6962, section 2.1

  bool operator==(const Checkpoint&) const = default;
};

// A checkpoint with its signature as it was read; whether it holds is CheckNote's to say.
struct SignedCheckpoint {
  Checkpoint checkpoint;
  std::string key_id;     // 4 octets
  std::string signature;  // 64 octets
};

inline constexpr size_t kMaxNoteOctets = 1024;

// `journal_id`: 16 octets.
std::string OriginOf(std::string_view journal_id);
// The signed octets: three lines, each ended by a line feed.
std::string NoteText(const Checkpoint& checkpoint);
// First four octets of SHA-256(name || LF || 0x01 || public key). `public_key`: 32 octets.
std::string NoteKeyId(std::string_view name, std::string_view public_key);
// The whole note: text, empty line, signature line.
std::string ComposeNote(const Checkpoint& checkpoint, std::string_view public_key,
                        std::string_view signature);
// INVALID_ARGUMENT naming the line for anything but a note that ComposeNote makes, octet for octet.
absl::StatusOr<SignedCheckpoint> ParseNote(std::string_view untrusted_note);
// OK when the note's signature holds under `public_key` (32 octets). PERMISSION_DENIED when it is
// another key's, DATA_LOSS when the signature does not hold.
absl::Status CheckNote(const SignedCheckpoint& note, std::string_view public_key);

}  // namespace auspex

#endif  // AUSPEX_COMMON_JOURNAL_NOTE_H_
