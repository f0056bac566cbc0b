// SPDX-License-Identifier: AGPL-3.0-only
#include "common/ipc/read_turns.h"

#include <malloc.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cerrno>

#include "common/log/log.h"

namespace auspex {
namespace {

constexpr int kDescriptors = 1024;
constexpr uint32_t kNotMarked = 0;  // otherwise 1 and what was read in this turn

std::array<std::atomic<uint32_t>, kDescriptors>& Turns() {
  static constinit std::array<std::atomic<uint32_t>, kDescriptors> turns{};
  return turns;
}

bool IsMarkable(int fd) { return fd >= 0 && fd < kDescriptors; }

std::atomic<size_t> heap_bound{kHeapForPeers};
std::atomic<bool> heap_was_large{false};

// At the end of a turn: true when the connection is to be cut.
bool HeapIsTooLarge() {
  const struct mallinfo2 heap = ::mallinfo2();
  const size_t in_use = heap.uordblks + heap.hblkhd;
  const size_t bound = heap_bound.load(std::memory_order_relaxed);
  if (in_use > bound) {
    heap_was_large = true;
    return true;
  }
  if (in_use < bound / 2 && heap_was_large.exchange(false)) ::malloc_trim(0);
  return false;
}

}  // namespace

void ReadInTurns(int fd) {
  if (IsMarkable(fd)) Turns()[static_cast<size_t>(fd)] = 1;
}

void BoundHeapForPeers(size_t octets) { heap_bound = octets; }

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
    if (auspex::HeapIsTooLarge()) {
      auspex::LogWarning(
          "peer_cut", {{"descriptor", fd}, {"reason", "it sends faster than it can be answered"}});
      ::shutdown(fd, SHUT_RDWR);
      errno = ECONNRESET;
      return -1;
    }
    errno = EAGAIN;
    return -1;
  }
  const ssize_t got = __real_recvmsg(fd, message, flags);
  turn.store(got > 0 ? before + static_cast<uint32_t>(got) : 1, std::memory_order_relaxed);
  return got;
}

}  // extern "C"
