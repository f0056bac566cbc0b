// SPDX-License-Identifier: AGPL-3.0-only
// HelperGate: what is left of the right to start a program after keyd has given that right up. A
// small child that keyd forks at its very start, before there is a key or a thread, and that can do
// one thing: run the Secret Service helper (keyd/secret_service) with one of four commands, and end
// it when its time is over. The helper's standard streams are pipes whose other ends go to keyd;
// the gate itself never reads them, so a seed passes it by.
//
//   keyd                      gate                         helper
//    | {command, ms} -------->| three pipes, fork, exec -->|
//    |<------- pipes' ends ---|                            |
//    |<=================== seed, or nothing ===============|
//    |<-- {wait status, killed} --| reaped                 x
//
// The gate has no new privileges, is not dumpable, may open Unix sockets alone, and by Landlock may
// start nothing but the helper and the loader. It ends with keyd (end of file, and a parent-death
// signal). The helper has all this too, and makes threads but no process, so that its end leaves
// nothing behind. Safe from any thread; one call at a time, the others wait.
#ifndef AUSPEX_KEYD_GATE_GATE_H_
#define AUSPEX_KEYD_GATE_GATE_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"

namespace auspex::keyd {

class HelperGate {
 public:
  enum class Command : uint8_t { kProbe = 1, kLoad = 2, kStore = 3, kDelete = 4 };

  struct End {
    int exit_code = -1;      // 128 + signal when it was killed
    bool timed_out = false;  // killed by the gate for its time
    size_t output_octets = 0;
    std::string message;  // what it wrote on standard error, printable, at most 400 octets
  };

  // Forks the gate. `helper`: path of the program; `environment`: all that the helper gets
  // ("NAME=value"). Call while the process has one thread and holds no secret.
  static absl::StatusOr<std::unique_ptr<HelperGate>> Start(
      const std::string& helper, const std::vector<std::string>& environment);
  ~HelperGate();
  HelperGate(const HelperGate&) = delete;
  HelperGate& operator=(const HelperGate&) = delete;

  // Runs the helper. `input` goes to its standard input; its standard output, as far as `output` is
  // long, into `output`. Returns at the latest `timeout_ms` (1..600000) and two seconds later.
  // UNAVAILABLE when the gate is gone; how the helper ended is in End. SIGPIPE must be ignored.
  absl::StatusOr<End> Run(Command command, int timeout_ms, std::span<const unsigned char> input,
                          std::span<unsigned char> output);

  pid_t pid() const { return pid_; }

 private:
  HelperGate(UniqueFd socket, pid_t pid) : socket_(std::move(socket)), pid_(pid) {}

  std::mutex mutex_;
  UniqueFd socket_;  // SOCK_SEQPACKET; invalid after the gate broke its word
  pid_t pid_;
};

// The helper's path: beside this program, or in ../libexec/auspex from there. NOT_FOUND names both.
absl::StatusOr<std::string> FindSecretsHelper();

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_GATE_GATE_H_
