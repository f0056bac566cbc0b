// SPDX-License-Identifier: AGPL-3.0-only
#include "common/receipt/cbor.h"

#include <algorithm>

namespace auspex {
namespace {

// The major types of RFC 7049 section 2.1, as they stand in the first octet.
constexpr uint8_t kUnsigned = 0 << 5, kNegative = 1 << 5, kByteString = 2 << 5,
                  kTextString = 3 << 5, kArrayHead = 4 << 5, kMapHead = 5 << 5, kTagHead = 6 << 5;
constexpr char kFalse = '\xf4', kTrue = '\xf5', kNullOctet = '\xf6';

void AppendHead(std::string& out, uint8_t major, uint64_t argument) {
  const auto put = [&](uint64_t octet) { out.push_back(static_cast<char>(octet)); };
  int octets = 0;
  if (argument < 24) {
    put(major | argument);
  } else if (argument <= 0xff) {
    put(major | 24), octets = 1;
  } else if (argument <= 0xffff) {
    put(major | 25), octets = 2;
  } else if (argument <= 0xffffffff) {
    put(major | 26), octets = 4;
  } else {
    put(major | 27), octets = 8;
  }
  for (int i = octets - 1; i >= 0; --i) put(argument >> (8 * i) & 0xff);
}

}  // namespace

CborValue CborValue::Integer(int64_t value) {
  CborValue out;
  out.kind_ = Kind::kInteger;
  out.number_ = value;
  return out;
}

CborValue CborValue::Bytes(std::string_view octets) {
  CborValue out;
  out.kind_ = Kind::kBytes;
  out.octets_ = octets;
  return out;
}

CborValue CborValue::Text(std::string_view utf8) {
  CborValue out = Bytes(utf8);
  out.kind_ = Kind::kText;
  return out;
}

CborValue CborValue::Array(std::vector<CborValue> elements) {
  CborValue out;
  out.kind_ = Kind::kArray;
  out.items_ = std::move(elements);
  return out;
}

CborValue CborValue::Map(Members members) {
  CborValue out;
  out.kind_ = Kind::kMap;
  for (auto& [key, value] : members) {
    out.items_.push_back(std::move(key));
    out.items_.push_back(std::move(value));
  }
  return out;
}

CborValue CborValue::Tag(uint32_t number, CborValue content) {
  CborValue out;
  out.kind_ = Kind::kTag;
  out.number_ = number;
  out.items_.push_back(std::move(content));
  return out;
}

CborValue CborValue::Bool(bool value) {
  CborValue out;
  out.kind_ = Kind::kBool;
  out.number_ = value ? 1 : 0;
  return out;
}

std::optional<int64_t> CborValue::as_integer() const {
  if (kind_ != Kind::kInteger) return std::nullopt;
  return number_;
}

std::optional<bool> CborValue::as_bool() const {
  if (kind_ != Kind::kBool) return std::nullopt;
  return number_ != 0;
}

const CborValue* CborValue::as_tag(uint32_t number) const {
  return kind_ == Kind::kTag && number_ == int64_t{number} ? &items_[0] : nullptr;
}

const CborValue* CborValue::Find(std::string_view text_key) const {
  for (size_t i = 0; i < 2 * member_count(); i += 2) {
    if (const std::string* key = items_[i].as_text(); key != nullptr && *key == text_key) {
      return &items_[i + 1];
    }
  }
  return nullptr;
}

const CborValue* CborValue::Find(int64_t integer_key) const {
  for (size_t i = 0; i < 2 * member_count(); i += 2) {
    if (items_[i].as_integer() == integer_key) return &items_[i + 1];
  }
  return nullptr;
}

std::string CborValue::Encode() const {
  std::string out;
  AppendTo(out);
  return out;
}

void CborValue::AppendTo(std::string& out) const {
  switch (kind_) {
    case Kind::kNull:
      out.push_back(kNullOctet);
      return;
    case Kind::kBool:
      out.push_back(number_ != 0 ? kTrue : kFalse);
      return;
    case Kind::kInteger:
      // A negative integer n is written as -1 - n, which is ~n.
      AppendHead(out, number_ < 0 ? kNegative : kUnsigned,
                 static_cast<uint64_t>(number_ < 0 ? ~number_ : number_));
      return;
    case Kind::kBytes:
    case Kind::kText:
      AppendHead(out, kind_ == Kind::kText ? kTextString : kByteString, octets_.size());
      out += octets_;
      return;
    case Kind::kTag:
      AppendHead(out, kTagHead, static_cast<uint64_t>(number_));
      items_[0].AppendTo(out);
      return;
    case Kind::kArray:
      AppendHead(out, kArrayHead, items_.size());
      for (const CborValue& item : items_) item.AppendTo(out);
      return;
    case Kind::kMap:
      break;
  }
  std::vector<std::pair<std::string, const CborValue*>> members;
  for (size_t i = 0; i < items_.size(); i += 2) {
    members.emplace_back(items_[i].Encode(), &items_[i + 1]);
  }
  std::stable_sort(members.begin(), members.end(), [](const auto& a, const auto& b) {
    if (a.first.size() != b.first.size()) return a.first.size() < b.first.size();
    return a.first < b.first;
  });
  members.erase(std::unique(members.begin(), members.end(),
                            [](const auto& a, const auto& b) { return a.first == b.first; }),
                members.end());
  AppendHead(out, kMapHead, members.size());
  for (const auto& [key, value] : members) {
    out += key;
    value->AppendTo(out);
  }
}

}  // namespace auspex
