// SPDX-License-Identifier: AGPL-3.0-only
#include "common/json/value.h"

#include <charconv>
#include <system_error>

#include "common/json/number.h"

namespace auspex {

std::optional<int64_t> JsonValue::AsInt64() const {
  const JsonInteger* integer = as_integer();
  if (integer == nullptr) return std::nullopt;
  const char* end = integer->digits.data() + integer->digits.size();
  int64_t value = 0;
  const auto read = std::from_chars(integer->digits.data(), end, value);
  if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
  return value;
}

std::optional<double> JsonValue::AsNumber() const {
  if (const double* number = as_float()) return *number;
  const JsonInteger* integer = as_integer();
  if (integer == nullptr || integer->digits.empty()) return std::nullopt;
  return json_internal::ParseNumberToken(integer->digits);
}

const JsonValue* JsonValue::Find(std::string_view name) const {
  const JsonObject* object = as_object();
  if (object == nullptr) return nullptr;
  const auto found = object->find(name);
  return found == object->end() ? nullptr : &found->second;
}

const std::string* JsonValue::FindString(std::string_view name) const {
  const JsonValue* member = Find(name);
  return member == nullptr ? nullptr : member->as_string();
}

JsonValue& JsonValue::operator[](std::string_view name) {
  if (as_object() == nullptr) data_ = JsonObject();
  JsonObject& object = *as_object();
  const auto found = object.find(name);
  if (found != object.end()) return found->second;
  return object.emplace(std::string(name), JsonValue()).first->second;
}

}  // namespace auspex
