// SPDX-License-Identifier: AGPL-3.0-only
// CheckCanonicalObject: the scanner by which keyd knows that a payload is canonical without
// building anything from it.
#include <algorithm>
#include <cmath>
#include <vector>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/json/canonical.h"
#include "common/json/escape.h"
#include "common/json/number.h"

namespace auspex {
namespace {

using json_internal::IsHighSurrogate;
using json_internal::IsLowSurrogate;
using json_internal::JoinSurrogates;
using json_internal::ReadHex4;

// Takes one character off the front of `escaped`, the inside of a string that was already found
// canonical: what its escapes stand for, a pair of surrogate escapes as the one code point that it
// is.
uint32_t TakeCodePoint(std::string_view& escaped) {
  if (escaped[0] != '\\') {
    const auto c = static_cast<uint8_t>(escaped[0]);
    escaped.remove_prefix(1);
    return c;
  }
  constexpr std::string_view kLetters = "\"\\bfnrt";
  constexpr std::string_view kMeanings = "\"\\\b\f\n\r\t";
  if (const size_t known = kLetters.find(escaped[1]); known != std::string_view::npos) {
    escaped.remove_prefix(2);
    return static_cast<uint8_t>(kMeanings[known]);
  }
  const uint32_t unit = ReadHex4(escaped.substr(2)).value_or(0);
  escaped.remove_prefix(6);
  if (IsHighSurrogate(unit) && escaped.substr(0, 2) == "\\u") {
    const uint32_t low = ReadHex4(escaped.substr(2)).value_or(0);
    if (IsLowSurrogate(low)) {
      escaped.remove_prefix(6);
      return JoinSurrogates(unit, low);
    }
  }
  return unit;
}

// True when name `a` sorts strictly before name `b`, both canonical and without quotes.
bool NameLess(std::string_view a, std::string_view b) {
  while (!a.empty() && !b.empty()) {
    const uint32_t of_a = TakeCodePoint(a);
    const uint32_t of_b = TakeCodePoint(b);
    if (of_a != of_b) return of_a < of_b;
  }
  return a.empty() && !b.empty();
}

class Scanner {
 public:
  Scanner(std::string_view text, const JsonLimits& limits)
      : text_(text), limits_(limits), max_depth_(std::min(limits.max_depth, kMaxJsonDepth)) {}

  absl::Status Scan() {
    if (!At('{')) return Malformed("no object begins here");
    RETURN_IF_ERROR(ScanValue());
    while (!open_.empty()) RETURN_IF_ERROR(Step());
    if (at_ != text_.size()) return Malformed("content after the object");
    return absl::OkStatus();
  }

 private:
  // An open container. The name before the next one is kept as a place in the text, not as a copy.
  struct Level {
    bool is_object;
    bool is_empty = true;
    size_t name_at = 0;
    size_t name_length = 0;
  };

  absl::Status Malformed(std::string_view what) const {
    return absl::InvalidArgumentError(Cat("canonical json: ", what, " at octet ", at_));
  }
  absl::Status Exhausted(std::string_view what, size_t limit) const {
    return absl::ResourceExhaustedError(
        Cat("canonical json: more than ", limit, " ", what, " at octet ", at_));
  }
  bool At(char c) const { return at_ < text_.size() && text_[at_] == c; }
  bool TakeWord(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  // Closes the innermost container or scans its next entry.
  absl::Status Step() {
    const bool is_object = open_.back().is_object;
    if (At(is_object ? '}' : ']')) {
      ++at_;
      open_.pop_back();
      return absl::OkStatus();
    }
    if (!open_.back().is_empty) {
      if (!At(',')) return Malformed("',' or the end of the container is missing");
      ++at_;
    }
    open_.back().is_empty = false;
    if (is_object) RETURN_IF_ERROR(ScanName());
    return ScanValue();
  }

  absl::Status ScanName() {
    if (!At('"')) return Malformed("a member name is missing");
    const size_t start = at_;
    RETURN_IF_ERROR(ScanString());
    Level& level = open_.back();
    const std::string_view name = text_.substr(start + 1, at_ - start - 2);
    // A start of 0 means "no name yet": the text's first character is always the outer brace.
    if (level.name_at != 0 && !NameLess(text_.substr(level.name_at, level.name_length), name)) {
      at_ = start;
      return Malformed("a member name that is repeated or not in order");
    }
    level.name_at = start + 1;
    level.name_length = name.size();
    if (!At(':')) return Malformed("':' is missing");
    ++at_;
    return absl::OkStatus();
  }

  // A scalar whole, or the opening of a container.
  absl::Status ScanValue() {
    if (values_++ >= limits_.max_values) return Exhausted("values", limits_.max_values);
    if (at_ == text_.size()) return Malformed("a value is missing");
    const char c = text_[at_];
    if (c == '{' || c == '[') {
      if (open_.size() >= max_depth_) return Exhausted("levels of nesting", max_depth_);
      ++at_;
      open_.push_back(Level{.is_object = c == '{'});
      return absl::OkStatus();
    }
    if (c == '"') return ScanString();
    if (TakeWord("true") || TakeWord("false") || TakeWord("null")) return absl::OkStatus();
    return ScanNumber();
  }

  absl::Status ScanNumber() {
    const size_t start = at_;
    if (TakeWord("NaN") || TakeWord("Infinity") || TakeWord("-Infinity")) {
      if (limits_.allow_non_finite) return absl::OkStatus();
      at_ = start;
      return Malformed("a number that is not finite");
    }
    const auto token = json_internal::ScanNumber(text_.substr(at_));
    if (token.length == 0) return Malformed("no value can begin here or a number is malformed");
    const std::string_view number = text_.substr(at_, token.length);
    if (!token.is_float) {
      if (token.digits > limits_.max_integer_digits) {
        return Exhausted("digits in an integer", limits_.max_integer_digits);
      }
      if (number == "-0") return Malformed("an integer -0");
    } else if (!IsCanonicalFloat(number)) {
      return Malformed("a float that is not in its shortest form");
    }
    at_ += token.length;
    return absl::OkStatus();
  }

  static bool IsCanonicalFloat(std::string_view number) {
    json_internal::FloatBuffer buffer;
    if (number.size() > buffer.size()) return false;
    const double value = json_internal::ParseNumberToken(number);
    return json_internal::FormatFloat(value, buffer) == number;
  }

  absl::Status ScanString() {
    ++at_;  // the quote
    while (at_ < text_.size()) {
      const auto c = static_cast<uint8_t>(text_[at_]);
      if (c == '"') {
        ++at_;
        return absl::OkStatus();
      }
      if (c == '\\') {
        RETURN_IF_ERROR(ScanEscape());
      } else if (c >= 0x20 && c <= 0x7e) {
        ++at_;
      } else {
        return Malformed("a character that must be escaped");
      }
    }
    return Malformed("a string has no end");
  }

  absl::Status ScanEscape() {
    constexpr std::string_view kShort = "\"\\bfnrt";
    const char letter = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
    if (kShort.find(letter) != std::string_view::npos) {
      at_ += 2;
      return absl::OkStatus();
    }
    const std::string_view hex = text_.substr(at_ + 1).substr(0, 5);
    const auto unit = letter == 'u' ? ReadHex4(hex.substr(1)) : std::nullopt;
    if (!unit) return Malformed("a malformed escape");
    const bool upper_case =
        std::any_of(hex.begin(), hex.end(), [](char c) { return c >= 'A' && c <= 'F'; });
    const bool printable = *unit >= 0x20 && *unit <= 0x7e;
    const bool has_short = *unit >= 0x08 && *unit <= 0x0d && *unit != 0x0b;
    if (upper_case || printable || has_short) return Malformed("an escape with another spelling");
    at_ += 6;
    return absl::OkStatus();
  }

  const std::string_view text_;
  const JsonLimits& limits_;
  const size_t max_depth_;
  size_t at_ = 0;
  size_t values_ = 0;
  std::vector<Level> open_;
};

}  // namespace

absl::Status CheckCanonicalObject(std::string_view untrusted_text, const JsonLimits& limits) {
  if (untrusted_text.size() > limits.max_octets) {
    return absl::ResourceExhaustedError(
        Cat("canonical json: ", untrusted_text.size(), " octets, more than ", limits.max_octets));
  }
  return Scanner(untrusted_text, limits).Scan();
}

}  // namespace auspex
