// SPDX-License-Identifier: AGPL-3.0-only
#include "coordd/requirements.h"

#include <algorithm>
#include <cmath>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "coordd/feature_schema.h"

namespace auspex::coordd {
namespace {

constexpr std::string_view kHash = "builtin_hash_agreement";
constexpr std::string_view kTolerance = "builtin_within_cell_tolerance";
constexpr std::string_view kProcessOnly = "builtin_process_only";

bool IsTrue(const JsonValue* value) {
  return value != nullptr && value->as_bool() != nullptr && *value->as_bool();
}

bool Contains(const JsonValue* array, std::string_view text) {
  if (array == nullptr || array->as_array() == nullptr) return false;
  return std::any_of(array->as_array()->begin(), array->as_array()->end(),
                     [&](const JsonValue& item) {
                       return item.as_string() != nullptr && *item.as_string() == text;
                     });
}

std::string TextOr(const JsonValue& object, std::string_view name, std::string_view fallback) {
  const std::string* text = object.FindString(name);
  return text != nullptr ? *text : std::string(fallback);
}

double NumberOr(const JsonValue& object, std::string_view name, double fallback) {
  const JsonValue* value = object.Find(name);
  return value != nullptr ? value->AsNumber().value_or(fallback) : fallback;
}

// The reducer's kind: a bare word or an object with a member `kind`; none or unknown means hash
// agreement (section 10).
std::string ReducerKind(const JsonValue& manifest) {
  const JsonValue* reducer = manifest.Find("reducer");
  if (reducer == nullptr) return std::string(kHash);
  if (reducer->as_string() != nullptr) return *reducer->as_string();
  return TextOr(*reducer, "kind", kHash);
}

// reducer.tolerance_features: [{path, abs_tol?, rel_tol?}, ...], at least one.
absl::Status ReadTolerances(const JsonValue& manifest, std::vector<Requirements::Tolerance>& out) {
  const JsonValue* reducer = manifest.Find("reducer");
  const JsonValue* list = reducer != nullptr ? reducer->Find("tolerance_features") : nullptr;
  if (list == nullptr || list->as_array() == nullptr || list->as_array()->empty() ||
      list->as_array()->size() > 256) {
    return absl::InvalidArgumentError(
        "tolerance_reducer_invalid: tolerance_features is missing or empty");
  }
  for (const JsonValue& feature : *list->as_array()) {
    Requirements::Tolerance tolerance{.path = TextOr(feature, "path", ""),
                                      .absolute = NumberOr(feature, "abs_tol", 0),
                                      .relative = NumberOr(feature, "rel_tol", 0)};
    if (tolerance.path.empty() || !(tolerance.absolute >= 0) || !(tolerance.relative >= 0) ||
        std::isinf(tolerance.absolute) || std::isinf(tolerance.relative)) {
      return absl::InvalidArgumentError(
          "tolerance_reducer_invalid: a feature has no path or a bad bound");
    }
    out.push_back(std::move(tolerance));
  }
  return absl::OkStatus();
}

void ReadModels(const JsonValue& manifest, Requirements& out) {
  const JsonValue* models = manifest.Find("models");
  if (models == nullptr || models->as_array() == nullptr) return;
  for (const JsonValue& model : *models->as_array()) {
    const std::string* id = model.FindString("id");
    if (id == nullptr) continue;
    if (IsTrue(model.Find("local_weights_required"))) out.models.push_back(*id);
    if (const std::string* digest = model.FindString("expected_gguf_sha256")) {
      out.pinned_weights.emplace_back(*id, *digest);
    }
  }
}

}  // namespace

SandboxLevel SandboxLevelOf(const std::string* untrusted_word) {
  return untrusted_word != nullptr && *untrusted_word == "strict" ? SandboxLevel::kStrict
                                                                  : SandboxLevel::kPermissive;
}

std::string_view SandboxWord(SandboxLevel level) {
  return level == SandboxLevel::kStrict ? "strict" : "permissive";
}

absl::StatusOr<Requirements> DeriveRequirements(const JsonValue& manifest, SandboxLevel sandbox,
                                                int64_t target) {
  Requirements out;
  out.sandbox = sandbox;
  out.requires_real_execution = IsTrue(manifest.Find("requires_real_execution"));
  ReadModels(manifest, out);
  if (const JsonValue* capture = manifest.Find("capture"))
    out.capture_raw = IsTrue(capture->Find("raw"));
  const std::string kind = ReducerKind(manifest);
  if (kind == "custom") {
    return absl::InvalidArgumentError(
        "custom_reducer_unsupported: custom reducers are not supported");
  }
  if (const JsonValue* schema = manifest.Find("feature_schema"); schema != nullptr) {
    if (!VersionHasFeatureSchema(manifest.FindString("schema_version"))) {
      return absl::InvalidArgumentError(
          "feature_schema_requires_v0_3: a feature_schema needs schema_version 0.3 or above");
    }
    if (const auto parsed = FeatureSchema::Parse(*schema); !parsed.ok()) {
      return absl::InvalidArgumentError(
          Cat("feature_schema_invalid: ", std::string(parsed.status().message())));
    }
    out.feature_schema = true;
  }
  if (kind == kTolerance || kind == kProcessOnly) out.reducer = kind;
  if (kind == kTolerance) RETURN_IF_ERROR(ReadTolerances(manifest, out.tolerances));
  if (const JsonValue* determinism = manifest.Find("inference_determinism")) {
    out.generation_policy = NumberOr(*determinism, "temperature", 0) > 0;
    if (out.generation_policy && determinism->Find("seed") == nullptr) {
      return absl::InvalidArgumentError(
          "sampling_requires_pinned_seed: temperature above 0 needs a seed");
    }
    if (out.generation_policy && out.reducer == kHash && target > 1) {
      return absl::InvalidArgumentError(
          "sampling_incoherent_with_agreement_consensus: sampled text cannot agree octet for "
          "octet");
    }
  }
  return out;
}

JsonValue Requirements::ToJson() const {
  JsonArray model_list, pinned, tolerance_list;
  for (const std::string& id : models) model_list.emplace_back(id);
  for (const auto& [id, digest] : pinned_weights) {
    pinned.emplace_back(JsonArray{JsonValue(id), JsonValue(digest)});
  }
  for (const Tolerance& t : tolerances) {
    tolerance_list.emplace_back(
        JsonObject{{"path", t.path}, {"abs_tol", t.absolute}, {"rel_tol", t.relative}});
  }
  return JsonObject{{"sandbox", SandboxWord(sandbox)},
                    {"generation_policy", generation_policy},
                    {"requires_real_execution", requires_real_execution},
                    {"models", std::move(model_list)},
                    {"pinned_weights", std::move(pinned)},
                    {"reducer", reducer},
                    {"tolerances", std::move(tolerance_list)},
                    {"capture_raw", capture_raw},
                    {"feature_schema", feature_schema}};
}

Requirements Requirements::FromJson(const JsonValue& json) {
  Requirements out;
  out.sandbox = SandboxLevelOf(json.FindString("sandbox"));
  out.generation_policy = IsTrue(json.Find("generation_policy"));
  out.requires_real_execution = IsTrue(json.Find("requires_real_execution"));
  out.capture_raw = IsTrue(json.Find("capture_raw"));
  out.feature_schema = IsTrue(json.Find("feature_schema"));
  out.reducer = TextOr(json, "reducer", kHash);
  if (const JsonValue* list = json.Find("models"); list != nullptr && list->as_array() != nullptr) {
    for (const JsonValue& id : *list->as_array()) out.models.push_back(*id.as_string());
  }
  if (const JsonValue* list = json.Find("pinned_weights");
      list != nullptr && list->as_array() != nullptr) {
    for (const JsonValue& pair : *list->as_array()) {
      out.pinned_weights.emplace_back(*pair.as_array()->at(0).as_string(),
                                      *pair.as_array()->at(1).as_string());
    }
  }
  if (const JsonValue* list = json.Find("tolerances");
      list != nullptr && list->as_array() != nullptr) {
    for (const JsonValue& t : *list->as_array()) {
      out.tolerances.push_back(
          {TextOr(t, "path", ""), NumberOr(t, "abs_tol", 0), NumberOr(t, "rel_tol", 0)});
    }
  }
  return out;
}

Fit CheckFit(const Requirements& requirements, const JsonValue& capabilities) {
  if (SandboxLevelOf(capabilities.FindString("sandbox_policy")) < requirements.sandbox) {
    return Fit::kSandbox;
  }
  if (requirements.generation_policy &&
      !Contains(capabilities.Find("worker_features"), "generation_policy")) {
    return Fit::kFeature;
  }
  if (requirements.models.empty() && !requirements.requires_real_execution) return Fit::kFits;
  if (TextOr(capabilities, "execute_tenant_code", "") != "provisioned") return Fit::kNoExecution;
  // Memory is compared with a model's known size, which this coordinator never knows: it passes
  // (7.4).
  if (IsTrue(capabilities.Find("auto_acquire"))) return Fit::kFits;
  for (const std::string& id : requirements.models) {
    if (!Contains(capabilities.Find("models"), id)) return Fit::kModelMissing;
  }
  return Fit::kFits;
}

bool DownloadsNeededModel(const Requirements& requirements, const JsonValue& capabilities) {
  const JsonValue* downloads = capabilities.Find("downloads");
  if (downloads == nullptr) return false;
  return std::any_of(requirements.models.begin(), requirements.models.end(),
                     [&](const std::string& id) { return downloads->Find(id) != nullptr; });
}

}  // namespace auspex::coordd
