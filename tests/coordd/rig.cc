// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/coordd/rig.h"

#include <cstdio>

namespace auspex::coordd {

using auspex::testing::HttpCall;
using auspex::testing::Process;
using auspex::testing::ProgramPath;
using auspex::testing::ReadAll;
using auspex::testing::WaitForLine;

std::string Answer::code() const {
  try {
    return json.at("detail").at("error").at("code").get<std::string>();
  } catch (const Json::exception&) {
    return "";
  }
}

Json Answer::details() const {
  try {
    return json.at("detail").at("error").at("details");
  } catch (const Json::exception&) {
    return nullptr;
  }
}

Answer Parse(const HttpAnswer& raw) {
  return {.status = raw.status,
          .json = Json::parse(raw.body, nullptr, /*allow_exceptions=*/false),
          .headers = raw.headers,
          .body = raw.body};
}

CoordinatorRig::CoordinatorRig(std::vector<std::string> flags) : flags_(std::move(flags)) {
  Start();
}

CoordinatorRig::~CoordinatorRig() {
  if (::testing::Test::HasFailure()) std::fputs(ReadAll(dir_ / "log").c_str(), stderr);
}

void CoordinatorRig::Start() {
  const std::string port_file = dir_ / "port";
  std::remove(port_file.c_str());
  std::vector<std::string> argv = {ProgramPath("auspex-coordd"),
                                   "--state",
                                   dir_ / "state",
                                   "--listen",
                                   "127.0.0.1:0",
                                   "--port-file",
                                   port_file};
  argv.insert(argv.end(), flags_.begin(), flags_.end());
  process_ = std::make_unique<Process>(argv, dir_ / "log");
  const std::string line = WaitForLine(port_file, *process_);
  ASSERT_NE(line, "") << ReadAll(dir_ / "log");
  port_ = std::stoi(line);
  token_ =
      Json::parse(ReadAll(dir_ / "state/tokens.json"))["tokens"][0]["token"].get<std::string>();
}

void CoordinatorRig::KillAndRestart() {
  process_->Kill();
  Start();
}

Answer CoordinatorRig::Plain(const std::string& method, const std::string& path, const Json& body) {
  const std::string text = body.is_null() ? "" : body.dump();
  return Parse(HttpCall(port_, method, path, {{"Content-Type", "application/json"}}, text));
}

Answer CoordinatorRig::Bearer(const std::string& method, const std::string& path,
                              const Json& body) {
  const std::string text = body.is_null() ? "" : body.dump();
  return Parse(HttpCall(
      port_, method, path,
      {{"Content-Type", "application/json"}, {"Authorization", "Bearer " + token_}}, text));
}

Answer CoordinatorRig::Signed(const WorkerSigner& key, const std::string& method,
                              const std::string& path, const Json& body) {
  const std::string text = body.is_null() ? "" : body.dump();
  return Parse(HttpCall(port_, method, path, key.Request(method, path, authority(), text), text));
}

std::string CoordinatorRig::Submit(const std::string& label, int count, int target,
                                   const Json& more, const Json& manifest) {
  Json whole_manifest = {
      {"tenant_id", "lab"}, {"experiment_id", label}, {"executor", {{"command", {"x"}}}}};
  whole_manifest.update(manifest);
  Json units = Json::array();
  for (int i = 0; i < count; ++i) {
    units.push_back({{"unit_id", "u-" + std::to_string(i)}, {"payload", {{"n", i}}}});
  }
  Json body = {{"manifest", whole_manifest},
               {"units", units},
               {"replication_target", target},
               {"sandbox_level", "strict"}};
  body.update(more);
  const Answer answer = Bearer("POST", "/api/v0/lab/experiments", body);
  EXPECT_EQ(answer.status, 201) << answer.body;
  return answer.status == 201 ? answer.json["experiment_id"].get<std::string>() : "";
}

Json CoordinatorRig::Progress(const std::string& experiment) {
  return Bearer("GET", "/api/v0/lab/experiments/" + experiment).json;
}

LabWorker::LabWorker(CoordinatorRig& rig, unsigned char fill) : rig_(rig), key_(fill) {
  const Answer answer =
      rig.Plain("POST", "/api/v0/workers/enroll", {{"pubkey_hex", key_.public_key_hex()}});
  EXPECT_EQ(answer.status, 201) << answer.body;
  if (answer.status != 201) return;
  id_ = answer.json["worker_id"].get<std::string>();
  EXPECT_EQ(Heartbeat().status, 200);
}

Answer LabWorker::Heartbeat(const Json& more) {
  Json capabilities = {
      {"os", "linux"}, {"sandbox_policy", "strict"}, {"execute_tenant_code", "provisioned"}};
  capabilities.update(more);
  return Post("/heartbeat", {{"capabilities", capabilities}});
}

Json LabWorker::ResultFor(const Json& poll, const Json& payload) const {
  Json result = {{"unit_id", poll["work_unit"]["unit_id"]},
                 {"worker_pubkey", key_.public_key_hex()},
                 {"completed_at", "2026-07-19T12:00:00.250000+00:00"},
                 {"exit_code", 0},
                 {"payload", payload},
                 {"assignment_id", poll["assignment_id"]},
                 {"schema_version", 2},
                 {"served_weights", Json::object()},
                 {"ran_under", "strict"}};
  SignResult(result);
  return result;
}

void LabWorker::SignResult(Json& result) const {
  Json canonical;
  for (const char* name : {"unit_id", "worker_pubkey", "completed_at", "exit_code", "payload",
                           "schema_version", "served_weights", "ran_under", "generation_options"}) {
    if (result.contains(name)) canonical[name] = result[name];
  }
  // nlohmann sorts names and, told so, writes ASCII without blanks: the canonical form for integers
  // and plain text.
  result["worker_signature"] = key_.Sign(canonical.dump(-1, ' ', true));
}

Answer LabWorker::Submit(const Json& result) {
  return Post("/assignments/" + result["unit_id"].get<std::string>() + "/result", result);
}

Answer LabWorker::DoOne(const Json& payload) {
  const Answer poll = Get("/assignments");
  EXPECT_EQ(poll.status, 200) << poll.body;
  if (poll.status != 200 || poll.json["work_unit"].is_null()) {
    ADD_FAILURE() << "no work: " << poll.body;
    return {};
  }
  return Submit(ResultFor(poll.json, payload));
}

}  // namespace auspex::coordd
