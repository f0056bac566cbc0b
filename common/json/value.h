// SPDX-License-Identifier: AGPL-3.0-only
// JsonValue: a JSON value that keeps the difference between integers of any size and floats, and
// strings with unpaired surrogates, because both must survive from an executor's output to a
// signature (wire protocol section 3). Read with ReadJson (reader.h), written with WriteCanonical
// (canonical.h). A value owns all that it holds; distinct values may be used from different
// threads, one value from one thread at a time unless only read.
//
// Strings are UTF-8, except that an unpaired surrogate U+D800..U+DFFF is held as its three-octet
// generalized UTF-8 form
// ("WTF-8"): byte order then equals code point order, which is the order in which names are sorted.
#ifndef AUSPEX_COMMON_JSON_VALUE_H_
#define AUSPEX_COMMON_JSON_VALUE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace auspex {

class JsonValue;
using JsonArray = std::vector<JsonValue>;
// Sorted by octets of the name, which is code point order.
using JsonObject = std::map<std::string, JsonValue, std::less<>>;

// An integer of any size: canonical decimal digits, '-' first if negative, never "-0" and no
// leading zeros.
struct JsonInteger {
  std::string digits;
  friend bool operator==(const JsonInteger&, const JsonInteger&) = default;
};

class JsonValue {
 public:
  JsonValue() = default;  // null
  JsonValue(std::nullptr_t) {}
  JsonValue(bool value) : data_(value) {}
  JsonValue(double value) : data_(value) {}
  JsonValue(int value) : data_(JsonInteger{std::to_string(value)}) {}
  JsonValue(unsigned value) : data_(JsonInteger{std::to_string(value)}) {}
  JsonValue(long value) : data_(JsonInteger{std::to_string(value)}) {}
  JsonValue(unsigned long value) : data_(JsonInteger{std::to_string(value)}) {}
  JsonValue(long long value) : data_(JsonInteger{std::to_string(value)}) {}
  JsonValue(unsigned long long value) : data_(JsonInteger{std::to_string(value)}) {}
  JsonValue(JsonInteger value) : data_(std::move(value)) {}
  JsonValue(std::string value) : data_(std::move(value)) {}
  JsonValue(std::string_view value) : data_(std::string(value)) {}
  JsonValue(const char* value) : data_(std::string(value)) {}
  JsonValue(JsonArray value) : data_(std::move(value)) {}
  JsonValue(JsonObject value) : data_(std::move(value)) {}

  bool is_null() const { return std::holds_alternative<std::monostate>(data_); }
  // The content if the value is of that kind, else nullptr. The pointer lives as long as this value
  // is not changed.
  const bool* as_bool() const { return std::get_if<bool>(&data_); }
  const JsonInteger* as_integer() const { return std::get_if<JsonInteger>(&data_); }
  const double* as_float() const { return std::get_if<double>(&data_); }
  const std::string* as_string() const { return std::get_if<std::string>(&data_); }
  const JsonArray* as_array() const { return std::get_if<JsonArray>(&data_); }
  const JsonObject* as_object() const { return std::get_if<JsonObject>(&data_); }
  JsonArray* as_array() { return std::get_if<JsonArray>(&data_); }
  JsonObject* as_object() { return std::get_if<JsonObject>(&data_); }

  // The integer as int64_t; nullopt when not an integer or out of range.
  std::optional<int64_t> AsInt64() const;
  // An integer or float as double; nullopt for other kinds.
  std::optional<double> AsNumber() const;
  // Member of an object; nullptr when this is no object or lacks the name.
  const JsonValue* Find(std::string_view name) const;
  // Member that is a string; nullptr otherwise.
  const std::string* FindString(std::string_view name) const;
  // Member of an object for writing; makes this an (empty) object first if it is not one.
  JsonValue& operator[](std::string_view name);

 private:
  std::variant<std::monostate, bool, JsonInteger, double, std::string, JsonArray, JsonObject> data_;
};

}  // namespace auspex

#endif  // AUSPEX_COMMON_JSON_VALUE_H_
