// SPDX-License-Identifier: AGPL-3.0-only
#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/json/utf8.h"
#include "common/receipt/cbor.h"

namespace auspex {

// Recursive descent, one frame a level; the depth is bounded by kMaxCborDepth.
class CborReader {
 public:
  explicit CborReader(std::string_view octets) : octets_(octets) {}

  absl::StatusOr<CborValue> ReadAll() {
    CborValue value;
    RETURN_IF_ERROR(Read(value, 0));
    if (at_ != octets_.size()) return Malformed("content after the value");
    return value;
  }

 private:
  using Kind = CborValue::Kind;

  absl::Status Malformed(std::string_view what) const {
    return absl::InvalidArgumentError(Cat("cbor: ", what, " at octet ", at_));
  }

  absl::Status Read(CborValue& out, size_t depth) {
    if (depth > kMaxCborDepth) {
      return absl::ResourceExhaustedError(Cat("cbor: more than ", kMaxCborDepth, " levels"));
    }
    if (items_++ >= kMaxCborItems) {
      return absl::ResourceExhaustedError(Cat("cbor: more than ", kMaxCborItems, " items"));
    }
    if (at_ == octets_.size()) return Malformed("an item is missing");
    const auto first = static_cast<uint8_t>(octets_[at_]);
    if (first >> 5 == 7) return ReadSimple(out, first);
    ASSIGN_OR_RETURN(const uint64_t argument, ReadArgument(first & 31));
    switch (first >> 5) {
      case 0:
      case 1:
        if (argument > static_cast<uint64_t>(INT64_MAX))
          return Malformed("an integer beyond 64 bits");
        out.kind_ = Kind::kInteger;
        out.number_ = static_cast<int64_t>(argument);
        if (first >> 5 == 1) out.number_ = ~out.number_;
        return absl::OkStatus();
      case 2:
      case 3:
        return ReadString(out, first >> 5 == 3, argument);
      case 4:
        return ReadArray(out, argument, depth);
      case 5:
        return ReadMap(out, argument, depth);
      default:
        if (argument > UINT32_MAX) return Malformed("a tag beyond 32 bits");
        out.kind_ = Kind::kTag;
        out.number_ = static_cast<int64_t>(argument);
        return Read(out.items_.emplace_back(), depth + 1);
    }
  }

  absl::Status ReadSimple(CborValue& out, uint8_t first) {
    if (first < 0xf4 || first > 0xf6)
      return Malformed("a float or simple value that has no place here");
    out.kind_ = first == 0xf6 ? Kind::kNull : Kind::kBool;
    out.number_ = first == 0xf5 ? 1 : 0;
    ++at_;
    return absl::OkStatus();
  }

  // The head's argument; `low` are the low five bits of its first octet, at which the reader
  // stands.
  absl::StatusOr<uint64_t> ReadArgument(uint8_t low) {
    if (low > 27) return Malformed("a length that is not definite");
    if (low < 24) {
      ++at_;
      return uint64_t{low};
    }
    const size_t width = size_t{1} << (low - 24);
    if (octets_.size() - at_ - 1 < width) return Malformed("a head is cut off");
    uint64_t argument = 0;
    for (size_t i = 1; i <= width; ++i) {
      argument = argument << 8 | static_cast<uint8_t>(octets_[at_ + i]);
    }
    // What would fit in half the octets (or in the head itself) has a shorter form.
    const bool shortest = width == 1 ? argument >= 24 : argument >> (width * 4) != 0;
    if (!shortest) return Malformed("a number that is not in its shortest form");
    at_ += 1 + width;
    return argument;
  }

  absl::Status ReadString(CborValue& out, bool is_text, uint64_t length) {
    if (length > octets_.size() - at_) return Malformed("a string is cut off");
    const std::string_view content = octets_.substr(at_, length);
    if (is_text && !IsUtf8(content)) return Malformed("text that is not UTF-8");
    out.kind_ = is_text ? Kind::kText : Kind::kBytes;
    out.octets_ = content;
    at_ += length;
    return absl::OkStatus();
  }

  // Containers grow as their items are read: a head that promises more than there is allocates
  // nothing.
  absl::Status ReadArray(CborValue& out, uint64_t count, size_t depth) {
    out.kind_ = Kind::kArray;
    for (uint64_t i = 0; i < count; ++i) {
      RETURN_IF_ERROR(Read(out.items_.emplace_back(), depth + 1));
    }
    return absl::OkStatus();
  }

  absl::Status ReadMap(CborValue& out, uint64_t count, size_t depth) {
    out.kind_ = Kind::kMap;
    std::string_view previous;
    for (uint64_t i = 0; i < count; ++i) {
      const size_t start = at_;
      RETURN_IF_ERROR(Read(out.items_.emplace_back(), depth + 1));
      const std::string_view key = octets_.substr(start, at_ - start);
      const bool ascends =
          previous.size() != key.size() ? previous.size() < key.size() : previous < key;
      if (!ascends) return Malformed("a map key that is repeated or not in order");
      previous = key;
      RETURN_IF_ERROR(Read(out.items_.emplace_back(), depth + 1));
    }
    return absl::OkStatus();
  }

  const std::string_view octets_;
  size_t at_ = 0;
  size_t items_ = 0;
};

absl::StatusOr<CborValue> DecodeCbor(std::string_view untrusted_octets) {
  return CborReader(untrusted_octets).ReadAll();
}

}  // namespace auspex
