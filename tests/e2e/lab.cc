// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/e2e/lab.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "common/base/encoding.h"
#include "common/crypto/sha256.h"
#include "tests/support/pace.h"

namespace auspex::e2e {
namespace {

namespace fs = std::filesystem;

// Package digest of the wire protocol, 4.5.
std::string PackageDigest(const std::string& folder) {
  std::vector<std::pair<std::vector<std::string>, fs::path>> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    const fs::path path = fs::relative(entry.path(), folder);
    if (path == "manifest.json" || path == "manifest.json.sig") continue;
    files.emplace_back(std::vector<std::string>(path.begin(), path.end()), path);
  }
  std::sort(files.begin(), files.end());
  std::string lines;
  for (const auto& [parts, path] : files) {
    if (!lines.empty()) lines += '\n';
    lines += path.string() + std::string(1, '\0') + Sha256HexOf(ReadText(folder / path));
  }
  return Sha256HexOf(lines);
}

}  // namespace

Package PackFolder(const std::string& folder, Json manifest) {
  manifest["executor"]["package_sha256"] = PackageDigest(folder);
  WriteText(folder + "/manifest.json", manifest.dump());
  const Finished tar = RunCommand(
      {"/bin/tar", "--owner=0", "--group=0", "-C", folder, "-czf", folder + ".tar.gz", "."});
  EXPECT_EQ(tar.code, 0) << tar.err;
  return {manifest, Base64Encode(ReadText(folder + ".tar.gz"))};
}

Package Pack(const std::string& name, const std::string& label, const std::string& tenant) {
  TempFolder scratch;
  const std::string folder = scratch / "package";
  std::error_code error;
  fs::copy(ExamplePackage(name), folder, fs::copy_options::recursive, error);
  EXPECT_FALSE(error) << name << ": " << error.message();
  Json manifest = Json::parse(ReadText(folder + "/manifest.json"), nullptr, false);
  EXPECT_TRUE(manifest.is_object()) << name << " is not staged";
  manifest["experiment_id"] = label;
  manifest["tenant_id"] = tenant;
  return PackFolder(folder, std::move(manifest));
}

Json Units(int count, const std::string& prefix) {
  Json units = Json::array();
  for (int i = 0; i < count; ++i) {
    units.push_back({{"unit_id", prefix + std::to_string(i)}, {"payload", {{"n", i}}}});
  }
  return units;
}

Coordinator::Coordinator(std::string folder, std::vector<std::string> flags)
    : folder_(std::move(folder)), flags_(std::move(flags)) {
  ::mkdir(folder_.c_str(), 0700);
}

void Coordinator::Start() {
  const std::string port_file = folder_ + "/port";
  (void)fs::remove(port_file);
  std::vector<std::string> command = {Program("auspex-coordd"),
                                      "--state",
                                      folder_ + "/state",
                                      "--listen",
                                      "127.0.0.1:" + std::to_string(port_),
                                      "--port-file",
                                      port_file};
  command.insert(command.end(), flags_.begin(), flags_.end());
  process_ = Process({command, {}, folder_ + "/log", false});
  const bool answers = Eventually(20, [&] {
    if (!process_.running()) return true;
    port_ = std::atoi(ReadText(port_file).c_str());
    return port_ > 0 && Http(port_, "GET", "/api/v0/health/public").status == 200;
  });
  ASSERT_TRUE(answers && process_.running()) << ReadText(folder_ + "/log");
  const Json tokens = Json::parse(ReadText(folder_ + "/state/tokens.json"), nullptr, false);
  ASSERT_TRUE(tokens.is_object()) << "no tokens.json";
  token_ = tokens["tokens"][0]["token"].get<std::string>();
}

HttpAnswer Coordinator::Call(const std::string& method, const std::string& path, const Json& body) {
  return Http(port_, method, "/api/v0" + path, {{"Authorization", "Bearer " + token_}},
              body.is_null() ? "" : body.dump());
}

std::string Coordinator::Submit(const Json& manifest, const Json& units, int target,
                                const std::string& archive, bool finalize,
                                const std::string& level) {
  Json body = {{"manifest", manifest},
               {"units", units},
               {"replication_target", target},
               {"sandbox_level", level},
               {"finalize", finalize}};
  if (!archive.empty()) body["package_tar_gz_b64"] = archive;
  const HttpAnswer answer = Call("POST", "/lab/experiments", body);
  EXPECT_EQ(answer.status, 201) << answer.body;
  if (answer.status != 201) return "";
  return answer.json()["experiment_id"].get<std::string>();
}

Json Coordinator::Progress(const std::string& experiment) {
  return Call("GET", "/lab/experiments/" + experiment).json();
}

Json Coordinator::Results(const std::string& experiment) {
  return Call("GET", "/lab/experiments/" + experiment + "/results").json();
}

bool Coordinator::WaitCompleted(const std::string& experiment, int count, double seconds) {
  return Eventually(seconds, [&] {
    const Json progress = Progress(experiment);
    return progress.is_object() && progress["units"].value("completed", 0) >= count;
  });
}

bool Coordinator::WaitRefused(const std::string& experiment, const std::string& kind,
                              double seconds) {
  return Eventually(seconds, [&] {
    const Json progress = Progress(experiment);
    return progress.is_object() && progress["refusals"].value(kind, 0) > 0;
  });
}

Worker::Worker(std::string home, Settings settings) : home_(std::move(home)) {
  ::mkdir(home_.c_str(), 0700);
  WriteText(home_ + "/worker.toml",
            "[coordinator]\nurl = \"" + settings.url + "\"\nheartbeat_interval_seconds = " +
                std::to_string(TestInterval(settings.heartbeat_seconds)) +
                "\nassignment_poll_interval_seconds = " +
                std::to_string(TestInterval(settings.poll_seconds)) +
                "\n[executor]\nexecute_tenant_code = \"" + settings.policy +
                "\"\n[resources]\nslots = " + std::to_string(settings.slots) + "\n" +
                settings.more);
}

Finished Worker::Verb(const std::vector<std::string>& words, double seconds) const {
  std::vector<std::string> command = {Program("auspex"), "--home", home_};
  command.insert(command.end(), words.begin(), words.end());
  return RunCommand(command, seconds);
}

Json Worker::VerbJson(std::vector<std::string> words, double seconds) const {
  words.push_back("--json");
  const Finished finished = Verb(words, seconds);
  const Json json = Json::parse(finished.out, nullptr, false);
  return finished.code == 0 && !json.is_discarded() ? json : Json(nullptr);
}

void Worker::Bootstrap() {
  const Finished finished = Verb({"bootstrap"}, 60);
  ASSERT_EQ(finished.code, 0) << finished.out << finished.err;
}

void Worker::LaunchDaemon(const std::vector<std::string>& flags) {
  std::vector<std::string> command = {Program("auspex"), "--home", home_, "daemon"};
  command.insert(command.end(), flags.begin(), flags.end());
  daemon_ = Process({command, {}, log(), false});
}

void Worker::StartDaemon() {
  LaunchDaemon();
  const bool serves = Eventually(30, [&] {
    if (!daemon_.running()) return true;
    return PidOf("keyd") > 0 && PidOf("stated") > 0 && PidOf("runnerd") > 0 && PidOf("netd") > 0;
  });
  ASSERT_TRUE(serves && daemon_.running()) << ReadText(log());
}

int Worker::StopDaemon() {
  daemon_.Signal(SIGTERM);
  const std::optional<int> code = daemon_.Wait(40);
  EXPECT_TRUE(code.has_value()) << "SIGTERM did not end the daemon\n" << ReadText(log());
  daemon_.Kill();
  return code.value_or(-1);
}

pid_t Worker::PidOf(const std::string& name) const {
  const std::vector<pid_t> pids = PidsNaming("/auspex-" + name, home_);
  return pids.empty() ? 0 : pids.front();
}

std::string Worker::worker_id() const {
  const Json status = VerbJson({"status"});
  return status.is_object() ? status.value("worker_id", std::string()) : "";
}

}  // namespace auspex::e2e
