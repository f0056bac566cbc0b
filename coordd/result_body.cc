// SPDX-License-Identifier: AGPL-3.0-only
#include "coordd/result_body.h"

#include <algorithm>
#include <utility>

#include "common/base/clock.h"
#include "common/json/canonical.h"

namespace auspex::coordd {
namespace {

std::string Lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

bool IsLowerHexKey(const std::string& text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace

ResultBody ReadResultBody(BodyReader& in) {
  ResultBody out;
  out.unit_id = in.Text("unit_id", kRequired, 1, 128).value_or("");
  out.worker_pubkey = in.Text("worker_pubkey", kRequired, 64, 64).value_or("");
  if (in.ok() && !IsLowerHexKey(out.worker_pubkey)) {
    in.Fail("worker_pubkey", "String should match pattern '^[0-9a-f]{64}$'",
            "string_pattern_mismatch");
  }
  const std::string completed = in.Text("completed_at", kRequired, 0, 64).value_or("");
  const auto time = ParseIsoTime(completed);
  const auto printed = NormalizeCompletedAt(completed);
  if (time && printed) {
    out.completed_at = *printed;
    out.completed_micros = time->unix_micros;
  } else if (!completed.empty() || in.ok()) {
    in.Fail("completed_at", "Input should be a valid datetime", "datetime_parsing");
  }
  out.exit_code = in.Integer("exit_code", kRequired, -255, 255).value_or(0);
  if (const JsonObject* payload = in.Object("payload", kRequired)) out.payload = *payload;
  out.worker_signature = in.Text("worker_signature", kRequired, 0, 1024).value_or("");
  out.assignment_id = in.Text("assignment_id", kOptional, 0, 128);
  out.schema_version = in.Integer("schema_version", kOptional, 0, 1'000'000).value_or(0);
  if (const JsonObject* weights = in.Object("served_weights", kOptional)) {
    out.has_served_weights = true;
    for (const auto& [model, digest] : *weights) {
      if (digest.as_string() == nullptr) {
        in.Fail("served_weights", "Input should be a valid string", "string_type");
        break;
      }
      out.served_weights.emplace(model, *digest.as_string());
    }
  }
  out.ran_under = in.Text("ran_under", kOptional, 0, 64);
  if (const JsonArray* options = in.Array("generation_options", kOptional)) {
    for (const JsonValue& option : *options) {
      if (option.as_object() == nullptr) {
        in.Fail("generation_options", "Input should be a valid dictionary", "dict_type");
        break;
      }
    }
    out.generation_options = *options;
  }
  out.raw_response = in.Text("raw_response", kOptional, 0, SIZE_MAX);
  out.raw_signature = in.Text("raw_signature", kOptional, 0, 1024);
  return out;
}

std::string CanonicalResultOctets(const ResultBody& body) {
  JsonObject object{{"unit_id", body.unit_id},
                    {"worker_pubkey", body.worker_pubkey},
                    {"completed_at", body.completed_at},
                    {"exit_code", body.exit_code},
                    {"payload", body.payload}};
  if (body.schema_version >= 1) {
    JsonObject weights;
    for (const auto& [model, digest] : body.served_weights) weights.emplace(model, Lower(digest));
    object.emplace("schema_version", body.schema_version);
    object.emplace("served_weights", std::move(weights));
  }
  if (body.schema_version >= 2) object.emplace("ran_under", Lower(body.ran_under.value_or("")));
  if (body.schema_version >= 3) object.emplace("generation_options", body.generation_options);
  return WriteCanonical(object);
}

}  // namespace auspex::coordd
