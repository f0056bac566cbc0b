// SPDX-License-Identifier: AGPL-3.0-only
// Bombs that must meet a limit. Each asks for far more than any sandbox gives and stops there, so
// that a missing limit costs the host of a test little.
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>

#include "runnerd/escape/attempt.h"

namespace auspex::escape {
namespace {

constexpr size_t kMiB = 1 << 20;

std::string Bounded(bool met) { return met ? "bounded" : "worked"; }

// 64 GiB of addresses; one page of each block is touched.
std::string Memory(const Targets&) {
  constexpr size_t kBlock = 256 * kMiB;
  for (int i = 0; i < 256; ++i) {
    void* block = mmap(nullptr, kBlock, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (block == MAP_FAILED) return Bounded(true);
    *static_cast<volatile char*>(block) = 1;
  }
  return Bounded(false);
}

// 2 GiB in files of 16 MiB.
std::string Disk(const std::string& folder) {
  signal(SIGXFSZ, SIG_IGN);
  constexpr int kFiles = 128;
  std::string outcome = Bounded(false);
  int made = 0;
  for (; made < kFiles; ++made) {
    const int file = open((folder + "/escape-disk-" + std::to_string(made)).c_str(),
                          O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    const bool filled = file >= 0 && fallocate(file, 0, 0, 16 * kMiB) == 0;
    if (file >= 0) close(file);
    if (!filled) {
      outcome = errno == ENOSPC || errno == EFBIG ? Bounded(true) : ErrnoName(errno);
      break;
    }
  }
  for (int i = 0; i <= made; ++i) unlink((folder + "/escape-disk-" + std::to_string(i)).c_str());
  return outcome;
}

// A file of 1 TiB that holds nothing.
std::string SparseFile(const Targets& targets) {
  signal(SIGXFSZ, SIG_IGN);
  const std::string path = targets.scratch() + "/escape-sparse";
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const std::string outcome = Outcome(ftruncate(file, off_t{1} << 40) == 0);
  unlink(path.c_str());
  return outcome;
}

std::string Descriptors(const Targets&) {
  rlimit all{};
  getrlimit(RLIMIT_NOFILE, &all);
  all.rlim_cur = all.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &all);
  for (int i = 0; i < 10'000; ++i) {
    if (open("/dev/null", O_RDONLY) < 0) return Bounded(errno == EMFILE);
  }
  return Bounded(false);
}

std::string Processes(const Targets&) {
  for (int i = 0; i < 3000; ++i) {
    const pid_t child = fork();
    if (child < 0) return Bounded(errno == EAGAIN);
    if (child == 0) {
      for (;;) pause();
    }
  }
  return Bounded(false);  // they are of this attempt's group and are killed with it
}

std::string Threads(const Targets&) {
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 16384);
  for (int i = 0; i < 3000; ++i) {
    pthread_t thread;
    const auto wait = [](void*) -> void* {
      for (;;) pause();
    };
    if (pthread_create(&thread, &small, wait, nullptr) != 0) return Bounded(true);
  }
  return Bounded(false);
}

constexpr Try kTries[] = {
    {"memory-bomb", Memory},
    {"disk-bomb", [](const Targets& t) { return Disk(t.scratch()); }},
    {"shared-memory-bomb", [](const Targets&) { return Disk("/dev/shm"); }},
    {"sparse-file", SparseFile},
    {"descriptor-bomb", Descriptors},
    {"fork-bomb", Processes},
    {"thread-bomb", Threads},
};

}  // namespace

std::span<const Try> BombTries() { return kTries; }

}  // namespace auspex::escape
