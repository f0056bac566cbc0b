// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/lab/coordinator.h"

#include <fcntl.h>

#include <charconv>

#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/files/files.h"
#include "common/ids/ids.h"
#include "common/json/canonical.h"
#include "common/json/reader.h"

namespace auspex::cli::lab {
namespace {

constexpr int kStartMs = 120'000;
constexpr int kStepMs = 10;
constexpr uint64_t kMostFileOctets = 64 * 1024;
constexpr uint64_t kMostAnswerOctets = 256ull * 1024 * 1024;
// Of a look that is repeated when it is late.
constexpr double kLookSeconds = 5;

JsonLimits AnswerLimits() {
  JsonLimits limits;
  limits.max_octets = kMostAnswerOctets;
  limits.max_values = 20'000'000;
  return limits;
}

int64_t Integer(const JsonValue& object, std::string_view name) {
  const JsonValue* member = object.Find(name);
  return member == nullptr ? 0 : member->AsInt64().value_or(0);
}

// Waits for the file that the coordinator writes when it listens.
absl::StatusOr<uint16_t> AwaitPort(const std::string& path, Child& process) {
  for (int waited = 0; waited < kStartMs; waited += kStepMs) {
    if (std::optional<int> status = process.WaitFor(kStepMs)) {
      return absl::UnavailableError(Cat("the coordinator ", DescribeEnd(*status)));
    }
    const absl::StatusOr<std::string> text = ReadFile(path, kMostFileOctets);
    if (!text.ok()) continue;
    uint16_t port = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), port);
    if (error == std::errc() && port != 0) return port;
  }
  return absl::DeadlineExceededError("the coordinator does not listen");
}

absl::StatusOr<std::string> ReadToken(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMostFileOctets));
  ASSIGN_OR_RETURN(const JsonValue file, ReadJson(text));
  const JsonValue* tokens = file.Find("tokens");
  const JsonArray* list = tokens == nullptr ? nullptr : tokens->as_array();
  const std::string* token =
      list == nullptr || list->empty() ? nullptr : list->front().FindString("token");
  if (token == nullptr) return absl::InvalidArgumentError(Cat(path, ": there is no token"));
  return *token;
}

}  // namespace

LabCoordinator::LabCoordinator(BaseUrl base)
    : base_(std::move(base)),
      http_({.ca_file = "", .user_agent = "auspex-lab"}),
      url_(base_.str()) {}

absl::StatusOr<std::unique_ptr<LabCoordinator>> LabCoordinator::Start(const std::string& folder,
                                                                      bool outlives_parent) {
  RETURN_IF_ERROR(MakePrivateDirectory(folder));
  const std::string log = Cat(folder, ".log");
  UniqueFd log_fd(open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!log_fd) return ErrnoStatus(errno, "open", log);
  const std::string port_file = Cat(folder, "/port");
  ChildSpec spec;
  ASSIGN_OR_RETURN(spec.program, FindProgram("auspex-coordd"));
  spec.arguments = {"--state", folder, "--listen", "127.0.0.1:0", "--port-file", port_file};
  spec.stdout_fd = spec.stderr_fd = log_fd.get();
  spec.outlives_parent = outlives_parent;
  ASSIGN_OR_RETURN(Child process, Child::Start(spec));
  ASSIGN_OR_RETURN(const uint16_t port, AwaitPort(port_file, process));
  ASSIGN_OR_RETURN(BaseUrl base, BaseUrl::Parse(Cat("http://127.0.0.1:", port)));
  std::unique_ptr<LabCoordinator> out(new LabCoordinator(std::move(base)));
  out->process_ = std::move(process);
  ASSIGN_OR_RETURN(out->token_, ReadToken(Cat(folder, "/tokens.json")));
  ASSIGN_OR_RETURN(const JsonValue key, out->Call("GET", "/api/v0/lab/signing-key"));
  const std::string* hex = key.FindString("public_key_hex");
  if (hex == nullptr) return absl::InternalError("the coordinator did not tell its receipt key");
  ASSIGN_OR_RETURN(const PublicKeyHex parsed, PublicKeyHex::Parse(*hex));
  out->receipt_key_ = parsed.str();
  return out;
}

absl::StatusOr<JsonValue> LabCoordinator::Call(const std::string& method, const std::string& path,
                                               std::string body, double seconds) {
  HttpRequest request{.method = method, .base = base_, .target = path};
  request.headers = {{"Authorization", Cat("Bearer ", token_)}};
  if (!body.empty()) request.headers.push_back({"Content-Type", "application/json"});
  request.body = std::move(body);
  HttpLimits limits;
  limits.total_seconds = limits.stall_seconds = seconds;
  limits.max_body_octets = kMostAnswerOctets;
  ASSIGN_OR_RETURN(const HttpResponse response, http_.Call(request, limits));
  if (response.status < 200 || response.status > 299) {
    return absl::AbortedError(Cat("coordinator: ", method, " ", path, ": ", response.status, " ",
                                  Printable(response.body, 500)));
  }
  return ReadJson(response.body, AnswerLimits());
}

absl::StatusOr<std::string> LabCoordinator::Submit(const PackedExperiment& experiment,
                                                   const std::vector<LabUnit>& units,
                                                   int replication) {
  JsonArray list;
  for (const LabUnit& unit : units) {
    list.emplace_back(
        JsonObject{{"unit_id", unit.unit_id},
                   {"payload", JsonObject{{"epsilon", unit.epsilon}, {"seed", unit.seed}}}});
  }
  JsonValue manifest = experiment.manifest;
  manifest["replication_factor"] = replication;
  // What states the shape of its results is held to it.
  const bool certified = manifest.Find("feature_schema") != nullptr;
  const JsonValue body = JsonObject{{"manifest", std::move(manifest)},
                                    {"units", std::move(list)},
                                    {"replication_target", replication},
                                    {"sandbox_level", "strict"},
                                    {"package_tar_gz_b64", Base64Encode(experiment.tar_gz)},
                                    {"certified", certified},
                                    {"finalize", true}};
  ASSIGN_OR_RETURN(const JsonValue answer,
                   Call("POST", "/api/v0/lab/experiments", WriteCanonical(body)));
  const std::string* id = answer.FindString("experiment_id");
  if (id == nullptr) return absl::InternalError("the coordinator named no experiment");
  ASSIGN_OR_RETURN(const ExperimentId parsed, ExperimentId::Parse(*id));
  return parsed.str();
}

absl::StatusOr<LabProgress> LabCoordinator::Progress(const std::string& experiment_id) {
  ASSIGN_OR_RETURN(const JsonValue answer,
                   Call("GET", Cat("/api/v0/lab/experiments/", experiment_id), "", kLookSeconds));
  const JsonValue* units = answer.Find("units");
  if (units == nullptr) return absl::InternalError("the coordinator's progress names no units");
  LabProgress progress;
  for (std::string_view word : {"pending", "in_progress", "completed", "failed", "cancelled"}) {
    progress.units += Integer(*units, word);
  }
  progress.done = progress.units - Integer(*units, "pending") - Integer(*units, "in_progress");
  progress.agreed = Integer(answer, "agreed");
  progress.disagreed = Integer(answer, "disagreed");
  progress.results = Integer(answer, "results");
  progress.receipts = Integer(answer, "receipts");
  progress.running = Integer(answer, "open_assignments");
  return progress;
}

absl::StatusOr<std::vector<LabResult>> LabCoordinator::Results(const std::string& experiment_id) {
  ASSIGN_OR_RETURN(JsonValue answer,
                   Call("GET", Cat("/api/v0/lab/experiments/", experiment_id, "/results")));
  JsonArray* units = answer["units"].as_array();
  if (units == nullptr) return absl::InternalError("the coordinator's results name no units");
  std::vector<LabResult> results;
  for (JsonValue& unit : *units) {
    LabResult result;
    const std::string* id = unit.FindString("unit_id");
    const JsonValue* agreed = unit.Find("agreed");
    if (id == nullptr || agreed == nullptr || agreed->as_bool() == nullptr) {
      return absl::InternalError("the coordinator's results have a unit without id or verdict");
    }
    result.unit_id = *id;
    result.agreed = *agreed->as_bool();
    result.payload = std::move(unit["consensus_payload"]);
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace auspex::cli::lab
