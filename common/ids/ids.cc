// SPDX-License-Identifier: AGPL-3.0-only
#include "common/ids/ids.h"

#include <algorithm>
#include <cstdint>

#include "common/base/cat.h"
#include "common/base/encoding.h"

namespace auspex {

std::string Printable(std::string_view untrusted_text, size_t limit) {
  std::string out;
  for (const char c : untrusted_text) {
    if (out.size() >= limit) return out + "...";
    const auto octet = static_cast<uint8_t>(c);
    if (octet >= 0x20 && octet < 0x7f && c != '\\') {
      out.push_back(c);
    } else {
      out += Cat("\\x", HexEncode(std::string_view(&c, 1)));
    }
  }
  return out;
}

namespace ids_internal {
namespace {

bool Lower(char c) { return c >= 'a' && c <= 'z'; }
bool Upper(char c) { return c >= 'A' && c <= 'Z'; }
bool Digit(char c) { return c >= '0' && c <= '9'; }

absl::Status Refuse(std::string_view kind, std::string_view why, std::string_view text) {
  return absl::InvalidArgumentError(Cat(kind, ": ", why, ": '", Printable(text), "'"));
}

absl::Status CheckLength(std::string_view kind, std::string_view text, size_t least, size_t most) {
  if (text.size() < least) return Refuse(kind, Cat("shorter than ", least, " characters"), text);
  if (text.size() > most) return Refuse(kind, Cat("longer than ", most, " characters"), text);
  return absl::OkStatus();
}

template <typename Allowed>
absl::Status CheckAlphabet(std::string_view kind, std::string_view text, Allowed allowed) {
  if (std::all_of(text.begin(), text.end(), allowed)) return absl::OkStatus();
  return Refuse(kind, "has a character that is not allowed", text);
}

// Tenant ids and experiment labels. The published manifest schema is narrower (lower-case words of
// three characters or more), but neither coordinator nor worker of the reference enforces it: a
// coordinator registers tenants like "my_lab" or "t1", and their work must not be turned away. What
// keeps the text harmless is the alphabet, and that it cannot begin like a flag or a hidden file.
absl::Status AcceptLabel(std::string_view kind, std::string_view text) {
  if (absl::Status s = CheckLength(kind, text, 1, 128); !s.ok()) return s;
  if (text[0] == '-' || text[0] == '.') return Refuse(kind, "begins with a dash or a dot", text);
  return CheckAlphabet(kind, text, [](char c) {
    return Lower(c) || Upper(c) || Digit(c) || c == '-' || c == '_' || c == '.';
  });
}

// Identifiers of the coordinator's: one path segment of unreserved characters (wire protocol 2.4).
absl::Status AcceptSegment(std::string_view kind, std::string_view text) {
  if (absl::Status s = CheckLength(kind, text, 1, 128); !s.ok()) return s;
  if (text == "." || text == "..") return Refuse(kind, "is a dot segment", text);
  return CheckAlphabet(kind, text, [](char c) {
    return Lower(c) || Upper(c) || Digit(c) || c == '-' || c == '.' || c == '_' || c == '~';
  });
}

absl::Status AcceptHex32(std::string_view kind, std::string& text) {
  if (text.size() != 64) return Refuse(kind, "is not 64 hex digits long", text);
  for (char& c : text) {
    if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
    if (!Digit(c) && !(c >= 'a' && c <= 'f')) return Refuse(kind, "is not hex", text);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status UnitIdKind::Accept(std::string& text) {
  if (absl::Status s = CheckLength("unit id", text, 1, 128); !s.ok()) return s;
  return CheckAlphabet("unit id", text, [](char c) {
    return Lower(c) || Upper(c) || Digit(c) || c == '-' || c == '_';
  });
}
absl::Status TenantIdKind::Accept(std::string& text) { return AcceptLabel("tenant id", text); }
absl::Status ExperimentLabelKind::Accept(std::string& text) {
  return AcceptLabel("experiment label", text);
}
absl::Status WorkerIdKind::Accept(std::string& text) { return AcceptSegment("worker id", text); }
absl::Status AssignmentIdKind::Accept(std::string& text) {
  return AcceptSegment("assignment id", text);
}
absl::Status ResultIdKind::Accept(std::string& text) { return AcceptSegment("result id", text); }
absl::Status AccountIdKind::Accept(std::string& text) { return AcceptSegment("account id", text); }
absl::Status ExperimentIdKind::Accept(std::string& text) {
  return AcceptSegment("experiment id", text);
}
absl::Status ReceiptIdKind::Accept(std::string& text) { return AcceptSegment("receipt id", text); }
absl::Status Sha256HexKind::Accept(std::string& text) { return AcceptHex32("sha256", text); }
absl::Status PublicKeyHexKind::Accept(std::string& text) { return AcceptHex32("public key", text); }
absl::Status ModelIdKind::Accept(std::string& text) {
  if (absl::Status s = CheckLength("model id", text, 1, 200); !s.ok()) return s;
  if (text[0] == '.') return Refuse("model id", "begins with a dot", text);
  return CheckAlphabet("model id", text, [](char c) {
    return Lower(c) || Upper(c) || Digit(c) || c == '-' || c == '.' || c == '_';
  });
}

}  // namespace ids_internal
}  // namespace auspex
