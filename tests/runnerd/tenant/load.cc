// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/runnerd/tenant/load.h"

#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace {

long NowMicros() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000 + now.tv_nsec / 1000;
}

Work WorkAlone(int milliseconds) {
  Work work;
  const long end = NowMicros() + milliseconds * 1000L;
  for (long last = NowMicros(); last < end; ++work.rounds) {
    for (int i = 0; i < 20'000; ++i) asm volatile("" ::: "memory");  // not to be optimized away
    const long now = NowMicros();
    work.longest_gap_ms = std::max(work.longest_gap_ms, (now - last) / 1000);
    last = now;
  }
  return work;
}

}  // namespace

bool TouchInChildren(int megabytes, int count) {
  int touched[2], hold[2];
  if (pipe(touched) != 0 || pipe(hold) != 0) return false;
  for (int child = 0; child < count; ++child) {
    if (fork() != 0) continue;
    close(hold[1]);
    const size_t octets = static_cast<size_t>(megabytes) << 20;
    char* memory = static_cast<char*>(malloc(octets));
    for (size_t at = 0; memory != nullptr && at < octets; at += 4096) memory[at] = 1;
    char octet = memory != nullptr;
    if (write(touched[1], &octet, 1) == 1) (void)!read(hold[0], &octet, 1);
    _exit(0);
  }
  close(touched[1]);
  bool all = true;
  for (int child = 0; child < count; ++child) {
    char octet = 0;
    all = read(touched[0], &octet, 1) == 1 && octet == 1 && all;
  }
  return all;
}

void ForkChain() {
  for (;;) {
    const pid_t child = fork();
    if (child > 0) _exit(0);
  }
}

Work WorkFor(int milliseconds, int processes) {
  int results[2];
  if (pipe(results) != 0) return {};
  for (int i = 0; i < processes; ++i) {
    if (fork() != 0) continue;
    const Work work = WorkAlone(milliseconds);
    (void)!write(results[1], &work, sizeof work);
    _exit(0);
  }
  close(results[1]);
  Work all, one;
  while (read(results[0], &one, sizeof one) == sizeof one) {
    all.rounds += one.rounds;
    all.longest_gap_ms = std::max(all.longest_gap_ms, one.longest_gap_ms);
  }
  return all;
}
