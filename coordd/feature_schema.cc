// SPDX-License-Identifier: AGPL-3.0-only
#include "coordd/feature_schema.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <map>
#include <optional>
#include <utility>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/ids/ids.h"

namespace auspex::coordd {
namespace {

enum class Kind { kObject, kArray, kNumber, kInteger, kBoolean, kText };

}  // namespace

// One place in a payload. A place gets its kind from the first path that goes through it.
struct FeatureSchema::Node {
  std::optional<Kind> kind;
  std::map<std::string, std::unique_ptr<Node>, std::less<>> members;  // of an object
  std::unique_ptr<Node> item;                                         // of an array
  std::optional<int64_t> min_items, max_items;
  std::optional<JsonValue> min, max;  // of a number
  int64_t max_length = kDefaultFeatureCharacters;
};

namespace {

using Node = FeatureSchema::Node;

constexpr size_t kMaxNameOctets = 64;

std::optional<Kind> KindOf(std::string_view word) {
  if (word == "number") return Kind::kNumber;
  if (word == "integer") return Kind::kInteger;
  if (word == "boolean") return Kind::kBoolean;
  if (word == "text") return Kind::kText;
  return std::nullopt;
}

std::string_view WordOf(Kind kind) {
  switch (kind) {
    case Kind::kObject:
      return "an object";
    case Kind::kArray:
      return "an array";
    case Kind::kNumber:
      return "a finite number";
    case Kind::kInteger:
      return "an integer";
    case Kind::kBoolean:
      return "true or false";
    case Kind::kText:
      break;
  }
  return "text";
}

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameOctets &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-';
         });
}

// Canonical digits of integers of any size: below, equal, above zero.
int CompareIntegers(std::string_view a, std::string_view b) {
  const bool a_negative = a.starts_with('-'), b_negative = b.starts_with('-');
  if (a_negative != b_negative) return a_negative ? -1 : 1;
  int order = a.size() != b.size() ? (a.size() < b.size() ? -1 : 1) : a.compare(b);
  return a_negative ? -order : order;
}

// Integers among themselves exactly, all else as binary64. Both are numbers and not NaN.
bool Below(const JsonValue& a, const JsonValue& b) {
  if (a.as_integer() != nullptr && b.as_integer() != nullptr) {
    return CompareIntegers(a.as_integer()->digits, b.as_integer()->digits) < 0;
  }
  return a.AsNumber().value_or(0) < b.AsNumber().value_or(0);
}

bool IsFiniteNumber(const JsonValue& value) {
  return value.as_integer() != nullptr ||
         (value.as_float() != nullptr && std::isfinite(*value.as_float()));
}

// The place below `at` that `path` names, made as needed; every array on the way is added to
// `arrays`.
absl::StatusOr<Node*> Walk(Node* at, std::string_view path, std::vector<Node*>& arrays) {
  if (path.size() > kMaxFeaturePathOctets)
    return absl::InvalidArgumentError("the path is too long");
  const auto pass = [&](Kind kind) {
    if (!at->kind) at->kind = kind;
    return *at->kind == kind ? absl::OkStatus()
                             : absl::InvalidArgumentError(
                                   "another feature declares a part of the path otherwise");
  };
  size_t depth = 0;
  for (bool more = true; more;) {
    const size_t dot = path.find('.');
    more = dot != std::string_view::npos;
    std::string_view step = path.substr(0, dot);
    path.remove_prefix(more ? dot + 1 : path.size());
    size_t brackets = 0;
    for (; step.ends_with("[]"); ++brackets) step.remove_suffix(2);
    if (!IsName(step)) {
      return absl::InvalidArgumentError(
          "the path is not names of letters, digits, '_' and '-', joined by '.', with '[]' for the "
          "items of an array");
    }
    depth += 1 + brackets;
    if (depth > kMaxFeatureDepth) return absl::InvalidArgumentError("the path is too deep");
    RETURN_IF_ERROR(pass(Kind::kObject));
    std::unique_ptr<Node>& member = at->members[std::string(step)];
    if (!member) member = std::make_unique<Node>();
    at = member.get();
    for (; brackets > 0; --brackets) {
      RETURN_IF_ERROR(pass(Kind::kArray));
      arrays.push_back(at);
      if (!at->item) at->item = std::make_unique<Node>();
      at = at->item.get();
    }
  }
  return at;
}

// An integer member of 0 to `most`; nullopt when absent.
absl::StatusOr<std::optional<int64_t>> CountIn(const JsonValue& feature, std::string_view name,
                                               int64_t most) {
  const JsonValue* value = feature.Find(name);
  if (value == nullptr) return std::optional<int64_t>();
  const auto number = value->AsInt64();
  if (!number || *number < 0 || *number > most) {
    return absl::InvalidArgumentError(Cat(name, " is not an integer of 0 to ", most));
  }
  return number;
}

absl::StatusOr<std::optional<JsonValue>> BoundIn(const JsonValue& feature, std::string_view name) {
  const JsonValue* value = feature.Find(name);
  if (value == nullptr) return std::optional<JsonValue>();
  if (!IsFiniteNumber(*value)) return absl::InvalidArgumentError(Cat(name, " is not a number"));
  return std::optional<JsonValue>(*value);
}

// An array that two features share has the bounds that either states; two statements must agree.
absl::Status Agree(std::optional<int64_t>& stated, std::optional<int64_t> value) {
  if (!value) return absl::OkStatus();
  if (stated && *stated != *value) {
    return absl::InvalidArgumentError("another feature bounds the same array otherwise");
  }
  stated = value;
  return absl::OkStatus();
}

absl::Status AddFeature(Node& root, const JsonValue& feature) {
  const JsonObject* object = feature.as_object();
  const std::string* path = feature.FindString("path");
  const std::string* word = feature.FindString("kind");
  if (object == nullptr || path == nullptr) {
    return absl::InvalidArgumentError("it is not an object with a path");
  }
  const std::optional<Kind> kind = word != nullptr ? KindOf(*word) : std::nullopt;
  if (!kind) return absl::InvalidArgumentError("kind is not number, integer, boolean or text");
  const bool numeric = *kind == Kind::kNumber || *kind == Kind::kInteger;
  std::vector<Node*> arrays;
  ASSIGN_OR_RETURN(Node * node, Walk(&root, *path, arrays));
  if (node->kind) return absl::InvalidArgumentError("the path is declared twice");
  node->kind = kind;
  for (const auto& [name, value] : *object) {
    const bool known = name == "path" || name == "kind" ||
                       (numeric && (name == "min" || name == "max")) ||
                       (*kind == Kind::kText && name == "max_length") ||
                       (!arrays.empty() && (name == "min_items" || name == "max_items"));
    if (!known) {
      return absl::InvalidArgumentError(
          Cat("member '", Printable(name, kMaxNameOctets), "' has no meaning here"));
    }
  }
  ASSIGN_OR_RETURN(node->min, BoundIn(feature, "min"));
  ASSIGN_OR_RETURN(node->max, BoundIn(feature, "max"));
  if (node->min && node->max && Below(*node->max, *node->min)) {
    return absl::InvalidArgumentError("max is below min");
  }
  ASSIGN_OR_RETURN(const auto length, CountIn(feature, "max_length", kMaxFeatureCharacters));
  node->max_length = length.value_or(kDefaultFeatureCharacters);
  ASSIGN_OR_RETURN(const auto least, CountIn(feature, "min_items", kMaxFeatureItems));
  ASSIGN_OR_RETURN(const auto most, CountIn(feature, "max_items", kMaxFeatureItems));
  for (Node* array : arrays) {
    RETURN_IF_ERROR(Agree(array->min_items, least));
    RETURN_IF_ERROR(Agree(array->max_items, most));
    if (array->min_items.value_or(0) > array->max_items.value_or(kMaxFeatureItems)) {
      return absl::InvalidArgumentError("max_items is below min_items");
    }
  }
  return absl::OkStatus();
}

int64_t Characters(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

absl::Status Fault(const std::string& path, std::string_view cause) {
  return absl::FailedPreconditionError(Cat("payload: ", path, path.empty() ? "" : ": ", cause));
}

// Whether `value` is of a leaf's kind and inside its bounds.
absl::Status CheckLeaf(const Node& node, const JsonValue& value, const std::string& path) {
  const Kind kind = *node.kind;
  const bool fits = (kind == Kind::kNumber && IsFiniteNumber(value)) ||
                    (kind == Kind::kInteger && value.as_integer() != nullptr) ||
                    (kind == Kind::kBoolean && value.as_bool() != nullptr) ||
                    (kind == Kind::kText && value.as_string() != nullptr);
  if (!fits) return Fault(path, Cat("is not ", WordOf(kind)));
  if (node.min && Below(value, *node.min)) return Fault(path, "is below its min");
  if (node.max && Below(*node.max, value)) return Fault(path, "is above its max");
  if (kind == Kind::kText && Characters(*value.as_string()) > node.max_length) {
    return Fault(path, "is longer than its max_length");
  }
  return absl::OkStatus();
}

// The stack is bounded by kMaxFeatureDepth: only declared places are entered.
absl::Status CheckNode(const Node& node, const JsonValue& value, const std::string& path) {
  if (node.kind == Kind::kObject) {
    const JsonObject* object = value.as_object();
    if (object == nullptr) return Fault(path, "is not an object");
    const std::string before = path.empty() ? "" : path + ".";
    for (const auto& [name, member] : *object) {
      const auto declared = node.members.find(name);
      if (declared == node.members.end()) {
        return Fault(before + Printable(name, kMaxNameOctets), "is not declared");
      }
      RETURN_IF_ERROR(CheckNode(*declared->second, member, before + name));
    }
    for (const auto& [name, member] : node.members) {
      if (!object->contains(name)) return Fault(before + name, "is declared and missing");
    }
    return absl::OkStatus();
  }
  if (node.kind == Kind::kArray) {
    const JsonArray* array = value.as_array();
    if (array == nullptr) return Fault(path, "is not an array");
    const auto count = static_cast<int64_t>(array->size());
    // An empty array has no leaf at the declared path, so that it must be allowed by name.
    if (count < node.min_items.value_or(1)) return Fault(path, "has too few items");
    if (count > node.max_items.value_or(kMaxFeatureItems)) return Fault(path, "has too many items");
    for (const JsonValue& item : *array) RETURN_IF_ERROR(CheckNode(*node.item, item, path + "[]"));
    return absl::OkStatus();
  }
  return CheckLeaf(node, value, path);
}

}  // namespace

absl::StatusOr<FeatureSchema> FeatureSchema::Parse(const JsonValue& untrusted_schema) {
  const JsonValue* list = untrusted_schema.Find("features");
  if (list == nullptr || list->as_array() == nullptr || untrusted_schema.as_object()->size() != 1) {
    return absl::InvalidArgumentError("feature_schema is not an object of just 'features', a list");
  }
  const JsonArray& features = *list->as_array();
  if (features.empty() || features.size() > kMaxFeatures) {
    return absl::InvalidArgumentError(
        Cat("feature_schema has not 1 to ", kMaxFeatures, " features"));
  }
  auto root = std::make_shared<Node>();
  for (size_t i = 0; i < features.size(); ++i) {
    const absl::Status status = AddFeature(*root, features[i]);
    if (!status.ok()) {
      const std::string* path = features[i].FindString("path");
      return absl::InvalidArgumentError(
          Cat("feature ", i,
              path != nullptr ? Cat(" '", Printable(*path, kMaxFeaturePathOctets), "'") : "", ": ",
              std::string(status.message())));
    }
  }
  return FeatureSchema(std::move(root));
}

absl::Status FeatureSchema::Check(const JsonValue& untrusted_payload) const {
  return CheckNode(*root_, untrusted_payload, "");
}

bool VersionHasFeatureSchema(const std::string* untrusted_version) {
  if (untrusted_version == nullptr) return false;
  std::string_view minor = *untrusted_version;
  if (!minor.starts_with("0.")) return false;
  minor.remove_prefix(2);
  const bool digits =
      !minor.empty() && minor.size() <= 3 &&
      std::all_of(minor.begin(), minor.end(), [](char c) { return c >= '0' && c <= '9'; });
  return digits && std::stoi(std::string(minor)) >= 3;
}

}  // namespace auspex::coordd
