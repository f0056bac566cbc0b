// SPDX-License-Identifier: AGPL-3.0-only
#include "coordd/signature_input.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/base/status_macros.h"

namespace auspex::coordd {
namespace {

constexpr size_t kMaxHeader = 4096;

absl::Status Bad(std::string_view why) {
  return absl::InvalidArgumentError(Cat("Signature-Input: ", why));
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool LabelCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

// Cuts "label=" off the front of `text`.
absl::StatusOr<std::string> TakeLabel(std::string_view& text) {
  const auto end = std::find_if_not(text.begin(), text.end(), LabelCharacter);
  std::string label(text.begin(), end);
  text.remove_prefix(label.size());
  if (label.empty() || text.empty() || text.front() != '=') return Bad("no label");
  text.remove_prefix(1);
  return label;
}

// Reads `"a" "b"` (the inside of the parentheses).
absl::Status ReadComponents(std::string_view list, std::vector<std::string>& out) {
  list = Trim(list);
  while (!list.empty()) {
    if (list.front() != '"') return Bad("a covered component is not a quoted name");
    const size_t end = list.find('"', 1);
    if (end == std::string_view::npos) return Bad("a covered component is not closed");
    std::string name(list.substr(1, end - 1));
    if (name.empty()) return Bad("an empty covered component");
    if (std::find(out.begin(), out.end(), name) != out.end())
      return Bad("a component is covered twice");
    out.push_back(std::move(name));
    list.remove_prefix(end + 1);
    if (!list.empty() && list.front() != ' ') return Bad("a covered component has parameters");
    list = Trim(list);
  }
  return absl::OkStatus();
}

// Reads `;name=value;...` into lower-cased names and unquoted values.
absl::Status ReadParams(std::string_view text, std::map<std::string, std::string>& out) {
  while (!text.empty()) {
    if (text.front() != ';') return Bad("text after the covered components");
    text.remove_prefix(1);
    const size_t end = text.find(';');
    const std::string_view param = Trim(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end);
    const size_t equals = param.find('=');
    if (equals == std::string_view::npos || equals == 0) return Bad("a parameter without a value");
    std::string_view value = Trim(param.substr(equals + 1));
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
      value = value.substr(1, value.size() - 2);
    }
    // A comma, quote or parenthesis here is a second signature in the same header.
    if (value.find_first_of("\",()") != std::string_view::npos)
      return Bad("more than one signature");
    if (!out.emplace(Lower(Trim(param.substr(0, equals))), value).second) {
      return Bad("a parameter is given twice");
    }
  }
  return absl::OkStatus();
}

}  // namespace

bool SignatureInput::Covers(std::string_view component) const {
  return std::find(covered.begin(), covered.end(), component) != covered.end();
}

absl::StatusOr<SignatureInput> ParseSignatureInput(std::string_view untrusted_value) {
  if (untrusted_value.size() > kMaxHeader) return Bad("longer than 4096 octets");
  for (const char c : untrusted_value) {
    if (c < 0x20 || c > 0x7e) return Bad("a character outside printable ASCII");
  }
  std::string_view text = Trim(untrusted_value);
  SignatureInput out;
  ASSIGN_OR_RETURN(out.label, TakeLabel(text));
  text = Trim(text);
  out.params = std::string(text);
  if (text.empty() || text.front() != '(') return Bad("no list of covered components");
  const size_t close = text.find(')');
  if (close == std::string_view::npos) return Bad("the list of covered components is not closed");
  RETURN_IF_ERROR(ReadComponents(text.substr(1, close - 1), out.covered));
  std::map<std::string, std::string> params;
  RETURN_IF_ERROR(ReadParams(Trim(text.substr(close + 1)), params));
  if (!params.contains("created") || !params.contains("alg") || !params.contains("keyid")) {
    return Bad("created, alg or keyid is missing");
  }
  const std::string& created = params["created"];
  const auto [end, error] =
      std::from_chars(created.data(), created.data() + created.size(), out.created);
  if (created.empty() || error != std::errc() || end != created.data() + created.size()) {
    return Bad("created is not a decimal integer");
  }
  out.alg = params["alg"];
  out.keyid = Lower(params["keyid"]);
  return out;
}

absl::StatusOr<SignatureValue> ParseSignatureValue(std::string_view untrusted_value) {
  std::string_view text = Trim(untrusted_value);
  if (text.size() > kMaxHeader) return absl::InvalidArgumentError("Signature: too long");
  SignatureValue out;
  ASSIGN_OR_RETURN(out.label, TakeLabel(text));
  if (text.size() < 2 || text.front() != ':' || text.back() != ':') {
    return absl::InvalidArgumentError("Signature: not label=:base64:");
  }
  std::optional<std::string> octets = Base64Decode(text.substr(1, text.size() - 2));
  if (!octets) return absl::InvalidArgumentError("Signature: not strict base64");
  out.octets = *std::move(octets);
  return out;
}

}  // namespace auspex::coordd
