// SPDX-License-Identifier: AGPL-3.0-only
// CoordinatorRig: the real auspex-coordd on a free port with a state directory of its own, and the
// calls that tests make of it. LabWorker: an enrolled worker that speaks the protocol by hand. Not
// thread-safe.
#ifndef AUSPEX_TESTS_COORDD_RIG_H_
#define AUSPEX_TESTS_COORDD_RIG_H_

#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/http_client.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"
#include "tests/support/worker_signer.h"

namespace auspex::coordd {

using Json = nlohmann::json;
using ::auspex::testing::HeaderList;
using ::auspex::testing::HttpAnswer;
using ::auspex::testing::HttpConnection;
using ::auspex::testing::WorkerSigner;

// An answer with its body parsed (null when it is no JSON).
struct Answer {
  int status = 0;
  Json json;
  std::map<std::string, std::string> headers;
  std::string body;
  // detail.error.code, or "".
  std::string code() const;
  // detail.error.details.
  Json details() const;
};
Answer Parse(const HttpAnswer& raw);

class CoordinatorRig {
 public:
  explicit CoordinatorRig(std::vector<std::string> flags = {});
  ~CoordinatorRig();

  int port() const { return port_; }
  std::string authority() const { return "127.0.0.1:" + std::to_string(port_); }
  const std::string& token() const { return token_; }
  std::string state() const { return dir_ / "state"; }  // the coordinator's state directory
  auspex::testing::Process& process() { return *process_; }
  // SIGKILL, then a new process on the same state.
  void KillAndRestart();

  Answer Plain(const std::string& method, const std::string& path, const Json& body = nullptr);
  Answer Bearer(const std::string& method, const std::string& path, const Json& body = nullptr);
  Answer Signed(const WorkerSigner& key, const std::string& method, const std::string& path,
                const Json& body = nullptr);

  // Submits units u-0 .. u-(count-1) with payload {"n": i} by the lab's call; the experiment id.
  // `more` is merged into the body, `manifest` into the manifest.
  std::string Submit(const std::string& label, int count, int target,
                     const Json& more = Json::object(), const Json& manifest = Json::object());
  Json Progress(const std::string& experiment);

 private:
  void Start();
  auspex::testing::TempDir dir_;
  std::vector<std::string> flags_;
  std::unique_ptr<auspex::testing::Process> process_;
  int port_ = 0;
  std::string token_;
};

class LabWorker {
 public:
  // Enrols the key `fill` and sends a first heartbeat that fits any work.
  LabWorker(CoordinatorRig& rig, unsigned char fill);

  const std::string& id() const { return id_; }
  const WorkerSigner& key() const { return key_; }
  std::string Path(const std::string& rest) const { return "/api/v0/workers/" + id_ + rest; }
  Answer Get(const std::string& rest) { return rig_.Signed(key_, "GET", Path(rest)); }
  Answer Post(const std::string& rest, const Json& body = nullptr) {
    return rig_.Signed(key_, "POST", Path(rest), body);
  }
  Answer Heartbeat(const Json& more = Json::object());
  // The body of a good result for what a poll answered.
  Json ResultFor(const Json& poll, const Json& payload = {{"answer", 42}}) const;
  // Signs `result` again after a change.
  void SignResult(Json& result) const;
  Answer Submit(const Json& result);
  // Polls (must get work) and submits; the 201.
  Answer DoOne(const Json& payload = {{"answer", 42}});

 private:
  CoordinatorRig& rig_;
  WorkerSigner key_;
  std::string id_;
};

}  // namespace auspex::coordd

#endif  // AUSPEX_TESTS_COORDD_RIG_H_
