// SPDX-License-Identifier: AGPL-3.0-only
// A lab of real programs: auspex-coordd and workers (`auspex daemon`), each in a folder of its own.
// Every failure of a step is a failure of the calling test. One thread.
#ifndef AUSPEX_TESTS_E2E_LAB_H_
#define AUSPEX_TESTS_E2E_LAB_H_

#include <string>
#include <vector>

#include "tests/e2e/harness.h"

namespace auspex::e2e {

// A packed example: the manifest with its digest, and the archive.
struct Package {
  Json manifest;
  std::string archive_base64;
};
// Packs the staged example `name`; `label` becomes the experiment's label (one label can be
// submitted once), `tenant` the tenant.
Package Pack(const std::string& name, const std::string& label,
             const std::string& tenant = "auspex-lab");
// The same with the manifest's executor replaced by a shell script of `text` (its one file). Runs
// where the sandbox shows a shell.
Package PackFolder(const std::string& folder, Json manifest);

// Units "u-0" ... with the payload {"n": i}.
Json Units(int count, const std::string& prefix = "u-");

class Coordinator {
 public:
  // `flags` go to the program as they are.
  explicit Coordinator(std::string folder, std::vector<std::string> flags = {});
  // Starts it, or starts it again on the same state and port; waits until it answers.
  void Start();
  void Kill() { process_.Kill(); }
  bool running() { return process_.running(); }
  int port() const { return port_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  const std::string& folder() const { return folder_; }

  // A maintainer's call below /api/v0.
  HttpAnswer Call(const std::string& method, const std::string& path, const Json& body = nullptr);
  // Creates an approved experiment with units and returns the coordinator's id.
  std::string Submit(const Json& manifest, const Json& units, int target,
                     const std::string& archive = "", bool finalize = true,
                     const std::string& level = "strict");
  Json Progress(const std::string& experiment);
  Json Results(const std::string& experiment);
  // Waits until `count` units are completed.
  bool WaitCompleted(const std::string& experiment, int count, double seconds);
  // Waits until the refusals hold `kind`.
  bool WaitRefused(const std::string& experiment, const std::string& kind, double seconds);

 private:
  std::string folder_, token_;
  std::vector<std::string> flags_;
  int port_ = 0;
  Process process_;
};

class Worker {
 public:
  struct Settings {
    std::string url;
    int slots = 2;
    std::string policy = "provisioned";
    double heartbeat_seconds = 0.2, poll_seconds = 0.05;
    std::string more;  // further TOML
  };
  Worker(std::string home, Settings settings);
  const std::string& home() const { return home_; }
  std::string log() const { return home_ + "/daemon.log"; }

  // `auspex --home HOME <words>`.
  Finished Verb(const std::vector<std::string>& words, double seconds = 30) const;
  // The same with --json; null when it failed or printed no JSON.
  Json VerbJson(std::vector<std::string> words, double seconds = 30) const;
  void Bootstrap();
  // Starts `auspex daemon` with further flags.
  void LaunchDaemon(const std::vector<std::string>& flags = {});
  // The same, and waits until all four daemons run.
  void StartDaemon();
  Process& daemon() { return daemon_; }
  // SIGTERM and the exit code; the daemons are gone afterwards.
  int StopDaemon();
  // The pid of one of its daemons ("netd"); 0 when it does not run.
  pid_t PidOf(const std::string& name) const;
  std::string worker_id() const;

 private:
  std::string home_;
  Process daemon_;
};

}  // namespace auspex::e2e

#endif  // AUSPEX_TESTS_E2E_LAB_H_
