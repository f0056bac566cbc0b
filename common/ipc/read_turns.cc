// SPDX-License-Identifier: AGPL-3.0-only
#include "common/ipc/read_turns.h"

#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cerrno>

namespace auspex {
namespace {

constexpr int kDescriptors = 1024;
constexpr uint32_t kNotMarked = 0;  // otherwise 1 and what was read in this turn

std::array<std::atomic<uint32_t>, kDescriptors>& Turns() {
  static constinit std::array<std::atomic<uint32_t>, kDescriptors> turns{};
  return turns;
}

bool IsMarkable(int fd) { return fd >= 0 && fd < kDescriptors; }

}  // namespace

void ReadInTurns(int fd) {
  if (IsMarkable(fd)) Turns()[static_cast<size_t>(fd)] = 1;
}

void ForgetTurns(int fd) {
  if (IsMarkable(fd)) Turns()[static_cast<size_t>(fd)] = kNotMarked;
}

}  // namespace auspex

// The linker's names for the C library's function and the one that is called in its place.
extern "C" {

ssize_t __real_recvmsg(int fd, msghdr* message, int flags);

ssize_t __wrap_recvmsg(int fd, msghdr* message, int flags) {
  if (!auspex::IsMarkable(fd)) return __real_recvmsg(fd, message, flags);
  std::atomic<uint32_t>& turn = auspex::Turns()[static_cast<size_t>(fd)];
  const uint32_t before = turn.load(std::memory_order_relaxed);
  if (before == auspex::kNotMarked) return __real_recvmsg(fd, message, flags);
  if (before > auspex::kTurnOctets) {
    turn.store(1, std::memory_order_relaxed);
    errno = EAGAIN;
    return -1;
  }
  const ssize_t got = __real_recvmsg(fd, message, flags);
  turn.store(got > 0 ? before + static_cast<uint32_t>(got) : 1, std::memory_order_relaxed);
  return got;
}

}  // extern "C"
