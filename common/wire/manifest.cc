// SPDX-License-Identifier: AGPL-3.0-only
#include "common/wire/manifest.h"

#include <algorithm>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/crypto/sha256.h"
#include "common/json/canonical.h"
#include "common/json/reader.h"

namespace auspex {
namespace {

constexpr size_t kMaxManifestOctets = 1024 * 1024;

absl::Status Wrong(std::string_view member, std::string_view why) {
  return absl::InvalidArgumentError(Cat("manifest: ", member, " ", why));
}

// The member `name` of `object`, or nullptr when it is absent or null: both mean "not given".
const JsonValue* Given(const JsonValue& object, std::string_view name) {
  const JsonValue* member = object.Find(name);
  return member == nullptr || member->is_null() ? nullptr : member;
}

// `full_name` is the member's path for the message, `name` its name in `object`.
absl::StatusOr<std::string> RequiredString(const JsonValue& object, std::string_view name,
                                           std::string_view full_name) {
  const JsonValue* member = Given(object, name);
  if (member == nullptr) return Wrong(full_name, "is missing");
  if (member->as_string() == nullptr) return Wrong(full_name, "is not a string");
  return *member->as_string();
}

absl::StatusOr<std::optional<std::string>> OptionalString(const JsonValue& object,
                                                          std::string_view name,
                                                          std::string_view full_name) {
  if (Given(object, name) == nullptr) return std::optional<std::string>();
  ASSIGN_OR_RETURN(std::string text, RequiredString(object, name, full_name));
  return std::optional<std::string>(std::move(text));
}

absl::StatusOr<bool> OptionalBool(const JsonValue& object, std::string_view name,
                                  std::string_view full_name) {
  const JsonValue* member = Given(object, name);
  if (member == nullptr) return false;
  if (member->as_bool() == nullptr) return Wrong(full_name, "is not true or false");
  return *member->as_bool();
}

template <typename Id>
absl::StatusOr<Id> RequiredId(const JsonValue& object, std::string_view name) {
  ASSIGN_OR_RETURN(const std::string text, RequiredString(object, name, name));
  absl::StatusOr<Id> id = Id::Parse(text);
  if (!id.ok()) return Wrong(name, Cat("is malformed: ", std::string(id.status().message())));
  return id;
}

absl::StatusOr<std::vector<std::string>> ReadCommand(const JsonValue& executor) {
  const JsonValue* command = Given(executor, "command");
  if (command == nullptr) return Wrong("executor.command", "is missing");
  const JsonArray* words = command->as_array();
  if (words == nullptr || words->empty()) {
    return Wrong("executor.command", "is not an array with at least one string");
  }
  std::vector<std::string> out;
  for (const JsonValue& word : *words) {
    if (word.as_string() == nullptr)
      return Wrong("executor.command", "has an element that is not a string");
    // A program's argument ends at the first NUL: the rest would be lost without a word.
    if (word.as_string()->find('\0') != std::string::npos) {
      return Wrong("executor.command", "has an element with a NUL character");
    }
    out.push_back(*word.as_string());
  }
  return out;
}

absl::StatusOr<std::vector<Manifest::Model>> ReadModels(const JsonValue& root) {
  std::vector<Manifest::Model> out;
  const JsonValue* models = Given(root, "models");
  if (models == nullptr) return out;
  if (models->as_array() == nullptr) return Wrong("models", "is not an array");
  for (size_t i = 0; i < models->as_array()->size(); ++i) {
    const JsonValue& element = (*models->as_array())[i];
    const std::string where = Cat("models[", i, "]");
    if (element.as_object() == nullptr) return Wrong(where, "is not an object");
    Manifest::Model& model = out.emplace_back();
    ASSIGN_OR_RETURN(model.id, RequiredString(element, "id", Cat(where, ".id")));
    ASSIGN_OR_RETURN(
        model.local_weights_required,
        OptionalBool(element, "local_weights_required", Cat(where, ".local_weights_required")));
  }
  return out;
}

absl::StatusOr<std::vector<std::string>> ReadSensitiveFlags(const JsonValue& root) {
  std::vector<std::string> out;
  const JsonValue* flags = Given(root, "sensitive_content_flags");
  if (flags == nullptr) return out;
  if (flags->as_array() == nullptr) return Wrong("sensitive_content_flags", "is not an array");
  for (const JsonValue& flag : *flags->as_array()) {
    if (flag.as_string() != nullptr) out.push_back(*flag.as_string());
  }
  return out;
}

// The object member `name`, or an empty object when it is not given.
absl::StatusOr<const JsonValue*> OptionalObject(const JsonValue& root, std::string_view name) {
  static const JsonValue* const kEmpty = new JsonValue(JsonObject());
  const JsonValue* member = Given(root, name);
  if (member == nullptr) return kEmpty;
  if (member->as_object() == nullptr) return Wrong(name, "is not an object");
  return member;
}

bool IsDigested(std::string_view path) {
  if (path == "manifest.json" || path == "manifest.json.sig" || path.ends_with(".pyc"))
    return false;
  while (true) {
    const size_t slash = path.find('/');
    if (path.substr(0, slash) == "__pycache__") return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

// Component by component: the slash sorts before every character and the end before the slash.
bool PathLess(std::string_view a, std::string_view b) {
  const auto rank = [](char c) { return c == '/' ? -1 : int{static_cast<unsigned char>(c)}; };
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(),
                                      [&](char x, char y) { return rank(x) < rank(y); });
}

}  // namespace

Sha256Hex ManifestSha256(const JsonValue& manifest) {
  return Sha256Hex::Parse(Sha256HexOf(WriteCanonical(manifest))).value();
}

absl::StatusOr<Manifest> ParseManifest(std::string_view untrusted_text) {
  JsonLimits limits;
  limits.max_octets = kMaxManifestOctets;
  absl::StatusOr<JsonValue> root = ReadJson(untrusted_text, limits);
  if (!root.ok()) {
    return absl::InvalidArgumentError(Cat("manifest: ", std::string(root.status().message())));
  }
  if (root->as_object() == nullptr) return absl::InvalidArgumentError("manifest: is not an object");
  ASSIGN_OR_RETURN(TenantId tenant, RequiredId<TenantId>(*root, "tenant_id"));
  ASSIGN_OR_RETURN(ExperimentLabel experiment, RequiredId<ExperimentLabel>(*root, "experiment_id"));
  Manifest manifest{.sha256 = ManifestSha256(*root),
                    .tenant_id = std::move(tenant),
                    .experiment_id = std::move(experiment)};

  if (Given(*root, "executor") == nullptr) return Wrong("executor", "is missing");
  ASSIGN_OR_RETURN(const JsonValue* executor, OptionalObject(*root, "executor"));
  ASSIGN_OR_RETURN(manifest.command, ReadCommand(*executor));
  ASSIGN_OR_RETURN(const std::optional<std::string> package,
                   OptionalString(*executor, "package_sha256", "executor.package_sha256"));
  if (package.has_value()) {
    absl::StatusOr<Sha256Hex> digest = Sha256Hex::Parse(*package);
    if (!digest.ok()) return Wrong("executor.package_sha256", "is not 64 hex digits");
    manifest.package_sha256 = *std::move(digest);
  }

  ASSIGN_OR_RETURN(manifest.sensitive_flags, ReadSensitiveFlags(*root));
  ASSIGN_OR_RETURN(const JsonValue* capture, OptionalObject(*root, "capture"));
  ASSIGN_OR_RETURN(manifest.capture_raw, OptionalBool(*capture, "raw", "capture.raw"));
  ASSIGN_OR_RETURN(const JsonValue* determinism, OptionalObject(*root, "inference_determinism"));
  ASSIGN_OR_RETURN(manifest.serving_version_pin,
                   OptionalString(*determinism, "serving_version_pin",
                                  "inference_determinism.serving_version_pin"));
  ASSIGN_OR_RETURN(manifest.models, ReadModels(*root));
  return manifest;
}

Sha256Hex PackageDigest(const std::map<std::string, std::string>& sha256_by_path) {
  std::vector<const std::pair<const std::string, std::string>*> files;
  for (const auto& file : sha256_by_path) {
    if (IsDigested(file.first)) files.push_back(&file);
  }
  std::sort(files.begin(), files.end(),
            [](const auto* a, const auto* b) { return PathLess(a->first, b->first); });
  std::string lines;
  for (const auto* file : files) {
    if (!lines.empty()) lines.push_back('\n');
    lines += Cat(file->first, '\0', file->second);
  }
  return Sha256Hex::Parse(Sha256HexOf(lines)).value();
}

}  // namespace auspex
