// SPDX-License-Identifier: AGPL-3.0-only
// A real auspex-keyd in a folder of its own, and clients of its three sockets.
#ifndef AUSPEX_TESTS_KEYD_KEYD_PROCESS_H_
#define AUSPEX_TESTS_KEYD_KEYD_PROCESS_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "auspex/keyd/v1/keyd.grpc.pb.h"

namespace auspex::keyd {

class KeydProcess {
 public:
  // Starts keyd on `home` with `environment` ("NAME=value") added, and waits until it serves or
  // ends. `before_exec` runs in the child: limits, filters, another user.
  explicit KeydProcess(const std::string& home, const std::vector<std::string>& environment = {},
                       const std::function<void()>& before_exec = {});
  ~KeydProcess();
  KeydProcess(const KeydProcess&) = delete;
  KeydProcess& operator=(const KeydProcess&) = delete;

  bool ready() const { return ready_; }
  pid_t pid() const { return pid_; }
  // Sends `signal` and waits for the end. The exit code, or 128 + signal.
  int Stop(int signal);
  // For a process that was not ready: its exit code.
  int WaitForExit();
  // The test has reaped it itself.
  void Forget() { pid_ = -1; }
  // What it wrote on standard error so far.
  std::string log() const;

  std::string SocketPath(const std::string& role) const;
  std::unique_ptr<v1::RequestSigner::Stub> request(const std::string& role = "request") const;
  std::unique_ptr<v1::ResultSigner::Stub> result(const std::string& role = "result") const;
  std::unique_ptr<v1::KeyOwner::Stub> owner(const std::string& role = "owner") const;

  // Calls that every test needs; they fail the test when they fail.
  v1::KeyIdentity CreateKey() const;
  void Enrol() const;
  v1::KeyStatus Status() const;
  std::vector<v1::JournalRecord> Journal(uint64_t first = 0, uint64_t limit = 0) const;
  void OpenGrant(v1::OwnerAct act) const;

 private:
  std::string home_, log_path_;
  pid_t pid_ = -1;
  bool ready_ = false;
};

// A context with a deadline that no healthy call meets.
std::unique_ptr<grpc::ClientContext> Deadline();

}  // namespace auspex::keyd

#endif  // AUSPEX_TESTS_KEYD_KEYD_PROCESS_H_
