// SPDX-License-Identifier: AGPL-3.0-only
// A real auspex-keyd for measurements: its own folder, a key, an enrolment, and no limit on rates. Single-threaded use. A failure ends
// the program with a message.
#ifndef AUSPEX_BENCH_KEYD_PROCESS_H_
#define AUSPEX_BENCH_KEYD_PROCESS_H_

#include <sys/types.h>

#include <string>

#include "tests/support/temp_dir.h"

namespace auspex::bench {

[[noreturn]] void Fail(const std::string& what);

class KeydProcess {
 public:
  // Starts the keyd of folder `bin` on `home`; with `fresh` it gets a key and an enrolment.
  KeydProcess(const std::string& bin, const std::string& home, bool fresh);
  ~KeydProcess();
  KeydProcess(const KeydProcess&) = delete;
  KeydProcess& operator=(const KeydProcess&) = delete;

  // Ends it by `signal` and waits for that.
  void Stop(int signal);
  std::string socket(const std::string& role) const;
  // From the fork to the moment when it says that it serves.
  double start_ms() const { return start_ms_; }
  // Proportional set size, KiB.
  long pss_kib() const;
  int threads() const;

 private:
  std::string home_;
  pid_t pid_ = -1;
  double start_ms_ = 0;
};

using ScratchFolder = testing::TempDir;

}  // namespace auspex::bench

#endif  // AUSPEX_BENCH_KEYD_PROCESS_H_
