// SPDX-License-Identifier: AGPL-3.0-only
#include "common/json/reader.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/json/escape.h"
#include "common/json/number.h"
#include "common/json/utf8.h"

namespace auspex {
namespace {

using json_internal::AppendCodePoint;
using json_internal::IsHighSurrogate;
using json_internal::IsLowSurrogate;
using json_internal::JoinSurrogates;
using json_internal::ReadHex4;

// Recursive descent; each level of nesting is one frame of ReadValue, so the depth is bounded here
// whatever the caller asks.
class Reader {
 public:
  Reader(std::string_view text, const JsonLimits& limits)
      : text_(text), limits_(limits), max_depth_(std::min(limits.max_depth, kMaxJsonDepth)) {}

  absl::StatusOr<JsonValue> Read() {
    JsonValue value;
    SkipBlanks();
    RETURN_IF_ERROR(ReadValue(value, 0));
    SkipBlanks();
    if (at_ != text_.size()) return Malformed("content after the value");
    return value;
  }

 private:
  absl::Status Malformed(std::string_view what) const {
    return absl::InvalidArgumentError(Cat("json: ", what, " at octet ", at_));
  }
  absl::Status Exhausted(std::string_view what, size_t limit) const {
    return absl::ResourceExhaustedError(
        Cat("json: more than ", limit, " ", what, " at octet ", at_));
  }
  bool At(char c) const { return at_ < text_.size() && text_[at_] == c; }
  bool Take(char c) {
    if (!At(c)) return false;
    ++at_;
    return true;
  }
  bool TakeWord(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }
  void SkipBlanks() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) {
      ++at_;
    }
  }

  // `depth` is the number of containers around the value.
  absl::Status ReadValue(JsonValue& out, size_t depth) {
    if (values_++ >= limits_.max_values) return Exhausted("values", limits_.max_values);
    if (at_ == text_.size()) return Malformed("a value is missing");
    switch (text_[at_]) {
      case '{':
        return ReadObject(out, depth + 1);
      case '[':
        return ReadArray(out, depth + 1);
      case '"': {
        std::string text;
        RETURN_IF_ERROR(ReadString(text));
        out = JsonValue(std::move(text));
        return absl::OkStatus();
      }
      case 't':
        if (!TakeWord("true")) break;
        out = JsonValue(true);
        return absl::OkStatus();
      case 'f':
        if (!TakeWord("false")) break;
        out = JsonValue(false);
        return absl::OkStatus();
      case 'n':
        if (!TakeWord("null")) break;
        out = JsonValue();
        return absl::OkStatus();
      default:
        return ReadNumber(out);
    }
    return Malformed("an unknown word");
  }

  absl::Status ReadObject(JsonValue& out, size_t depth) {
    if (depth > max_depth_) return Exhausted("levels of nesting", max_depth_);
    ++at_;
    JsonObject members;
    SkipBlanks();
    if (Take('}')) {
      out = JsonValue(std::move(members));
      return absl::OkStatus();
    }
    while (true) {
      if (!At('"')) return Malformed("a member name is missing");
      const size_t name_at = at_;
      std::string name;
      RETURN_IF_ERROR(ReadString(name));
      SkipBlanks();
      if (!Take(':')) return Malformed("':' is missing");
      SkipBlanks();
      JsonValue value;
      RETURN_IF_ERROR(ReadValue(value, depth));
      const auto [member, is_new] = members.try_emplace(std::move(name));
      if (!is_new && !limits_.allow_duplicate_names) {
        at_ = name_at;
        return Malformed("a repeated member name");
      }
      member->second = std::move(value);
      SkipBlanks();
      if (Take('}')) break;
      if (!Take(',')) return Malformed("',' or '}' is missing");
      SkipBlanks();
    }
    out = JsonValue(std::move(members));
    return absl::OkStatus();
  }

  absl::Status ReadArray(JsonValue& out, size_t depth) {
    if (depth > max_depth_) return Exhausted("levels of nesting", max_depth_);
    ++at_;
    JsonArray elements;
    SkipBlanks();
    if (Take(']')) {
      out = JsonValue(std::move(elements));
      return absl::OkStatus();
    }
    while (true) {
      RETURN_IF_ERROR(ReadValue(elements.emplace_back(), depth));
      SkipBlanks();
      if (Take(']')) break;
      if (!Take(',')) return Malformed("',' or ']' is missing");
      SkipBlanks();
    }
    out = JsonValue(std::move(elements));
    return absl::OkStatus();
  }

  // The bare words that Python writes are taken here too, since two of them may follow a minus sign
  // or a letter.
  absl::Status ReadNumber(JsonValue& out) {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    const size_t start = at_;
    double number = 0;
    if (TakeWord("NaN")) {
      number = std::numeric_limits<double>::quiet_NaN();
    } else if (TakeWord("Infinity")) {
      number = kInfinity;
    } else if (TakeWord("-Infinity")) {
      number = -kInfinity;
    } else {
      const auto token = json_internal::ScanNumber(text_.substr(at_));
      if (token.length == 0) return Malformed("no value can begin here or a number is malformed");
      const std::string_view digits = text_.substr(at_, token.length);
      if (!token.is_float) {
        if (token.digits > limits_.max_integer_digits) {
          return Exhausted("digits in an integer", limits_.max_integer_digits);
        }
        at_ += token.length;
        out = JsonValue(JsonInteger{std::string(digits == "-0" ? "0" : digits)});
        return absl::OkStatus();
      }
      number = json_internal::ParseNumberToken(digits);
      at_ += token.length;
    }
    if (!limits_.allow_non_finite && !std::isfinite(number)) {
      at_ = start;
      return Malformed("a number that is not finite");
    }
    out = JsonValue(number);
    return absl::OkStatus();
  }

  absl::Status ReadString(std::string& out) {
    ++at_;  // the quote
    while (at_ < text_.size()) {
      // Runs of plain ASCII are copied whole.
      const size_t start = at_;
      while (at_ < text_.size() && IsPlain(text_[at_])) ++at_;
      out.append(text_.substr(start, at_ - start));
      if (at_ == text_.size()) break;
      const auto c = static_cast<uint8_t>(text_[at_]);
      if (c == '"') {
        ++at_;
        return absl::OkStatus();
      }
      if (c == '\\') {
        RETURN_IF_ERROR(ReadEscape(out));
      } else if (c < 0x20) {
        return Malformed("a control character in a string");
      } else {
        const auto decoded = DecodeUtf8(text_.substr(at_), /*allow_surrogates=*/false);
        if (decoded.length == 0) return Malformed("text that is not UTF-8");
        out.append(text_.substr(at_, decoded.length));
        at_ += decoded.length;
      }
    }
    return Malformed("a string has no end");
  }

  absl::Status ReadEscape(std::string& out) {
    constexpr std::string_view kLetters = "\"\\/bfnrt";
    constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    const char letter = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
    if (const size_t known = kLetters.find(letter); known != std::string_view::npos) {
      out.push_back(kMeanings[known]);
      at_ += 2;
      return absl::OkStatus();
    }
    const auto unit = letter == 'u' ? ReadHex4(text_.substr(at_ + 2)) : std::nullopt;
    if (!unit) return Malformed("a malformed escape");
    at_ += 6;
    uint32_t code_point = *unit;
    if (IsHighSurrogate(code_point) && text_.substr(at_, 2) == "\\u") {
      const auto low = ReadHex4(text_.substr(at_ + 2));
      if (low && IsLowSurrogate(*low)) {
        code_point = JoinSurrogates(code_point, *low);
        at_ += 6;
      }
    }
    AppendCodePoint(out, code_point);
    return absl::OkStatus();
  }

  static bool IsPlain(char c) {
    const auto octet = static_cast<uint8_t>(c);
    return octet >= 0x20 && octet < 0x80 && c != '"' && c != '\\';
  }

  const std::string_view text_;
  const JsonLimits& limits_;
  const size_t max_depth_;
  size_t at_ = 0;
  size_t values_ = 0;
};

}  // namespace

absl::StatusOr<JsonValue> ReadJson(std::string_view untrusted_text, const JsonLimits& limits) {
  if (untrusted_text.size() > limits.max_octets) {
    return absl::ResourceExhaustedError(
        Cat("json: ", untrusted_text.size(), " octets, more than ", limits.max_octets));
  }
  return Reader(untrusted_text, limits).Read();
}

}  // namespace auspex
