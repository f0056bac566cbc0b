// SPDX-License-Identifier: AGPL-3.0-only
// CborValue: the part of CBOR (RFC 7049) that receipts use, in its canonical form (section 3.9)
// only: shortest integers and lengths, definite lengths, map keys by length and then bytewise, no
// key twice. Integers within int64, octet and text strings, arrays, maps, tags, true, false, null;
// no floats. Values own what they hold. Pure functions, any thread.
//
//   CborValue::Map({{CborValue::Text("n"), CborValue::Integer(1)}}).Encode()  // a1 61 6e 01
#ifndef AUSPEX_COMMON_RECEIPT_CBOR_H_
#define AUSPEX_COMMON_RECEIPT_CBOR_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace auspex {

class CborValue {
 public:
  using Members = std::vector<std::pair<CborValue, CborValue>>;

  CborValue() = default;  // null
  static CborValue Integer(int64_t value);
  static CborValue Bytes(std::string_view octets);
  static CborValue Text(std::string_view utf8);
  static CborValue Array(std::vector<CborValue> elements);
  // In any order; Encode sorts. Of a repeated key the first is written.
  static CborValue Map(Members members);
  static CborValue Tag(uint32_t number, CborValue content);
  static CborValue Bool(bool value);

  // The content if the value is of that kind, else nullopt or nullptr. Pointers live as long as
  // this value.
  std::optional<int64_t> as_integer() const;
  std::optional<bool> as_bool() const;
  const std::string* as_bytes() const { return kind_ == Kind::kBytes ? &octets_ : nullptr; }
  const std::string* as_text() const { return kind_ == Kind::kText ? &octets_ : nullptr; }
  const std::vector<CborValue>* as_array() const {
    return kind_ == Kind::kArray ? &items_ : nullptr;
  }
  // What tag `number` encloses; nullptr when this is not that tag.
  const CborValue* as_tag(uint32_t number) const;
  bool is_map() const { return kind_ == Kind::kMap; }
  bool is_null() const { return kind_ == Kind::kNull; }
  // Number of members of a map; 0 for other kinds.
  size_t member_count() const { return is_map() ? items_.size() / 2 : 0; }
  // Member of a map under a text or integer key; nullptr when this is no map or lacks the key.
  const CborValue* Find(std::string_view text_key) const;
  const CborValue* Find(int64_t integer_key) const;

  // The canonical octets.
  std::string Encode() const;

 private:
  friend class CborReader;
  enum class Kind { kNull, kBool, kInteger, kBytes, kText, kArray, kMap, kTag };

  void AppendTo(std::string& out) const;

  Kind kind_ = Kind::kNull;
  int64_t number_ = 0;            // an integer, a tag's number, or a truth value
  std::string octets_;            // of kBytes and kText
  std::vector<CborValue> items_;  // elements; a map's keys and values in turn; a tag's content
};

// Bounds of DecodeCbor. Text and octet strings are bounded by the input's size, which the caller
// bounds.
inline constexpr size_t kMaxCborDepth = 16;
inline constexpr size_t kMaxCborItems = 16384;

// The value that `untrusted_octets` are the canonical form of, all of them. INVALID_ARGUMENT "cbor:
// <what> at octet N" for anything else; RESOURCE_EXHAUSTED when one of the bounds is crossed.
absl::StatusOr<CborValue> DecodeCbor(std::string_view untrusted_octets);

}  // namespace auspex

#endif  // AUSPEX_COMMON_RECEIPT_CBOR_H_
