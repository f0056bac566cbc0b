// SPDX-License-Identifier: AGPL-3.0-only
#include "coordd/body_reader.h"

#include "common/base/cat.h"
#include "coordd/reply.h"

namespace auspex::coordd {
namespace {

size_t CountCharacters(std::string_view utf8) {
  size_t count = 0;
  for (const char c : utf8) count += (static_cast<uint8_t>(c) & 0xc0) != 0x80;
  return count;
}

}  // namespace

BodyReader::BodyReader(const JsonValue* body, bool json_content_type) {
  if (body == nullptr) {
    Fail("", "Field required", "missing");
  } else if (!json_content_type || body->as_object() == nullptr) {
    Fail("", "Input should be a valid dictionary or object to extract fields from",
         "model_attributes_type");
  } else {
    body_ = body->as_object();
  }
}

void BodyReader::Fail(std::string_view name, std::string_view message, std::string_view type) {
  problems_.push_back(ValidationProblem(name, message, type));
}

Reply BodyReader::ValidationRefusalOf(const JsonArray& problems) {
  return ValidationRefusal(problems);
}

const JsonValue* BodyReader::Take(std::string_view name, Need need) {
  if (body_ == nullptr) return nullptr;
  const auto it = body_->find(name);
  if (it == body_->end()) {
    if (need == kRequired) Fail(name, "Field required", "missing");
    return nullptr;
  }
  if (it->second.is_null() && need == kOptional) return nullptr;
  return &it->second;
}

std::optional<std::string> BodyReader::Text(std::string_view name, Need need, size_t least,
                                            size_t most) {
  const JsonValue* value = Take(name, need);
  if (value == nullptr) return std::nullopt;
  const std::string* text = value->as_string();
  if (text == nullptr) {
    Fail(name, "Input should be a valid string", "string_type");
    return std::nullopt;
  }
  const size_t length = CountCharacters(*text);
  if (length < least) {
    Fail(name, Cat("String should have at least ", least, " characters"), "string_too_short");
    return std::nullopt;
  }
  if (length > most) {
    Fail(name, Cat("String should have at most ", most, " characters"), "string_too_long");
    return std::nullopt;
  }
  return *text;
}

std::optional<int64_t> BodyReader::Integer(std::string_view name, Need need, int64_t least,
                                           int64_t most) {
  const JsonValue* value = Take(name, need);
  if (value == nullptr) return std::nullopt;
  if (value->as_integer() == nullptr) {
    Fail(name, "Input should be a valid integer", "int_type");
    return std::nullopt;
  }
  const std::optional<int64_t> number = value->AsInt64();
  if (!number || *number < least) {
    if (!number || *number > most) {
      Fail(name, "Input is out of range", "int_parsing_size");
    } else {
      Fail(name, Cat("Input should be greater than or equal to ", least), "greater_than_equal");
    }
    return std::nullopt;
  }
  if (*number > most) {
    Fail(name, Cat("Input should be less than or equal to ", most), "less_than_equal");
    return std::nullopt;
  }
  return number;
}

std::optional<bool> BodyReader::Bool(std::string_view name, Need need) {
  const JsonValue* value = Take(name, need);
  if (value == nullptr) return std::nullopt;
  if (value->as_bool() == nullptr) {
    Fail(name, "Input should be a valid boolean", "bool_type");
    return std::nullopt;
  }
  return *value->as_bool();
}

const JsonObject* BodyReader::Object(std::string_view name, Need need) {
  const JsonValue* value = Take(name, need);
  if (value == nullptr) return nullptr;
  if (value->as_object() == nullptr) {
    Fail(name, "Input should be a valid dictionary", "dict_type");
  }
  return value->as_object();
}

const JsonArray* BodyReader::Array(std::string_view name, Need need) {
  const JsonValue* value = Take(name, need);
  if (value == nullptr) return nullptr;
  if (value->as_array() == nullptr) Fail(name, "Input should be a valid list", "list_type");
  return value->as_array();
}

}  // namespace auspex::coordd
