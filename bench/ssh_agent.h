// SPDX-License-Identifier: AGPL-3.0-only
// SshAgent: OpenSSH's agent with one Ed25519 key, as the thing to compare keyd with. Needs ssh-agent, ssh-keygen and ssh-add
// on PATH. One thread.
#ifndef AUSPEX_BENCH_SSH_AGENT_H_
#define AUSPEX_BENCH_SSH_AGENT_H_

#include <sys/types.h>

#include <memory>
#include <string>

#include "common/base/unique_fd.h"

namespace auspex::bench {

class SshAgent {
 public:
  // Starts an agent in `folder` with a new key; nullptr when OpenSSH is not installed.
  static std::unique_ptr<SshAgent> Start(const std::string& folder);
  ~SshAgent();
  // One signature of `message`; false when the agent refused.
  bool Sign(const std::string& message);

 private:
  SshAgent() = default;
  bool Exchange(const std::string& request, std::string* answer);
  pid_t pid_ = -1;
  UniqueFd socket_;
  std::string key_blob_;
};

}  // namespace auspex::bench

#endif  // AUSPEX_BENCH_SSH_AGENT_H_
