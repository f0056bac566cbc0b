// SPDX-License-Identifier: AGPL-3.0-only
#include "common/journal/note.h"

#include <charconv>
#include <optional>

#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/base/status_macros.h"
#include "common/crypto/ed25519.h"
#include "common/crypto/sha256.h"

namespace auspex {
namespace {

constexpr std::string_view kOriginPrefix = "auspex.journal/";
constexpr std::string_view kDash = "\xE2\x80\x94 ";  // em dash and a space, as signed-note has it
constexpr std::string_view kEd25519 = "\x01";        // signature type
constexpr size_t kIdOctets = 16, kKeyIdOctets = 4, kSignatureOctets = 64;

// Takes one line off the front of `rest`, without its line feed; nullopt when there is none.
std::optional<std::string_view> TakeLine(std::string_view& rest) {
  const size_t end = rest.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  return line;
}

absl::Status Bad(std::string_view why) {
  return absl::InvalidArgumentError(Cat("checkpoint: ", why));
}

bool IsOrigin(std::string_view text) {
  if (text.substr(0, kOriginPrefix.size()) != kOriginPrefix) return false;
  const std::optional<std::string> id = HexDecode(text.substr(kOriginPrefix.size()));
  return id && id->size() == kIdOctets && OriginOf(*id) == text;
}

std::string Join(const SignedCheckpoint& note) {
  return Cat(NoteText(note.checkpoint), "\n", kDash, note.checkpoint.origin, " ",
             Base64Encode(note.key_id + note.signature), "\n");
}

}  // namespace

std::string OriginOf(std::string_view journal_id) {
  return Cat(kOriginPrefix, HexEncode(journal_id));
}

std::string NoteText(const Checkpoint& checkpoint) {
  return Cat(checkpoint.origin, "\n", checkpoint.size, "\n", Base64Encode(AsText(checkpoint.root)),
             "\n");
}

std::string NoteKeyId(std::string_view name, std::string_view public_key) {
  return Sha256(Cat(name, "\n", kEd25519, public_key)).substr(0, kKeyIdOctets);
}

std::string ComposeNote(const Checkpoint& checkpoint, std::string_view public_key,
                        std::string_view signature) {
  return Join({checkpoint, NoteKeyId(checkpoint.origin, public_key), std::string(signature)});
}

absl::StatusOr<SignedCheckpoint> ParseNote(std::string_view untrusted_note) {
  if (untrusted_note.size() > kMaxNoteOctets)
    return Bad(Cat("more than ", kMaxNoteOctets, " octets"));
  std::string_view rest = untrusted_note;
  SignedCheckpoint note;
  const auto origin = TakeLine(rest);
  if (!origin || !IsOrigin(*origin)) return Bad("line 1: not the name of a journal");
  note.checkpoint.origin = std::string(*origin);

  const auto size = TakeLine(rest);
  if (!size) return Bad("line 2: missing");
  const auto [end, error] =
      std::from_chars(size->data(), size->data() + size->size(), note.checkpoint.size);
  if (error != std::errc() || end != size->data() + size->size()) {
    return Bad("line 2: not a number of records");
  }
  const auto root_line = TakeLine(rest);
  const auto root = root_line ? Base64Decode(*root_line) : std::nullopt;
  if (!root || root->size() != sizeof(Digest32)) return Bad("line 3: not a root");
  note.checkpoint.root = ToDigest(*root);

  const auto gap = TakeLine(rest);
  if (!gap || !gap->empty()) return Bad("line 4: not empty");
  const auto line = TakeLine(rest);
  const std::string prefix = Cat(kDash, note.checkpoint.origin, " ");
  if (!line || line->substr(0, prefix.size()) != prefix) return Bad("line 5: no signature line");
  const auto octets = Base64Decode(line->substr(prefix.size()));
  if (!octets || octets->size() != kKeyIdOctets + kSignatureOctets) {
    return Bad("line 5: not an Ed25519 signature");
  }
  note.key_id = octets->substr(0, kKeyIdOctets);
  note.signature = octets->substr(kKeyIdOctets);
  // One spelling only: leading zeros, other line ends and trailing text stop here.
  if (Join(note) != untrusted_note) return Bad("not in its one spelling");
  return note;
}

absl::Status CheckNote(const SignedCheckpoint& note, std::string_view public_key) {
  if (note.key_id != NoteKeyId(note.checkpoint.origin, public_key)) {
    return absl::PermissionDeniedError("checkpoint: signed by another key");
  }
  if (!Ed25519Verify(public_key, NoteText(note.checkpoint), note.signature)) {
    return absl::DataLossError("checkpoint: the signature does not hold");
  }
  return absl::OkStatus();
}

}  // namespace auspex
