// SPDX-License-Identifier: AGPL-3.0-only
// auspex-unit-init: the first program inside every sandbox (process 1 of its namespace), under the
// same seccomp filter as the tenant's. Static and small: it starts in a fraction of a millisecond
// and needs nothing of the host. See protocol.h.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "runnerd/init/echo.h"
#include "runnerd/init/executor.h"
#include "runnerd/init/facts.h"
#include "runnerd/init/io.h"
#include "runnerd/init/landlock.h"
#include "runnerd/init/protocol.h"
#include "runnerd/init/self_look.h"

namespace {

using namespace auspex::unit_init;

bool ParseNumber(const char* text, uint64_t& number) {
  char* end = nullptr;
  errno = 0;
  number = strtoull(text, &end, 10);
  return errno == 0 && end != text && *end == 0 && text[0] != '-';
}

}  // namespace

int main(int argc, char** argv) {
  // Nothing but 0, 1 and 2 goes further than this, whoever started us.
  if (close_range(3, ~0U, 0) != 0) return 2;
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  // A tenant has the same user id: without this it could write into this process through
  // /proc/1/mem and reach its report.
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return 2;
  // From "started" on runnerd may send SIGTERM; it waits here until the executor can be told.
  // Process 1 would lose it otherwise.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGCHLD);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  // The look tries the other walls first, which this one would hide.
  const bool look = argc == 2 && strcmp(argv[1], "--self-look") == 0;
  LookAtOwnWalls(look ? 0 : EnterLandlock());
  if (!WriteStarted(1)) return 1;
  if (look) return RunSelfLook();
  if (argc == 2 && strcmp(argv[1], "--echo") == 0) return RunEcho();
  Limits limits;
  if (argc >= 11 && strcmp(argv[1], "--run") == 0 && ParseNumber(argv[2], limits.max_output) &&
      ParseNumber(argv[3], limits.open_files) && ParseNumber(argv[4], limits.file_size) &&
      ParseNumber(argv[5], limits.address_space) && ParseNumber(argv[6], limits.processes) &&
      ParseNumber(argv[7], limits.cpu_seconds) && ParseNumber(argv[8], limits.scratch_files) &&
      strcmp(argv[9], "--") == 0) {
    if (const char* layer = MissingWall()) return WriteEnd(1, "walls", 0, layer, 0) ? 0 : 1;
    return RunExecutor(limits, argv + 10);
  }
  WriteText(2, "auspex-unit-init: started by hand; it is only for auspex-runnerd\n");
  return 2;
}
