// SPDX-License-Identifier: AGPL-3.0-only
#include "common/ipc/read_turns.h"

#include <malloc.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>

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

// How long what a cut connection held may take to be freed.
constexpr int64_t kFreeingMs = 1000;
std::atomic<int64_t> freeing_until_ms{0};

int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// What was sent before is still read, and then the end: no turns any more.
void Cut(int fd, const char* reason) {
  LogWarning("peer_cut", {{"descriptor", fd}, {"reason", reason}});
  Turns()[static_cast<size_t>(fd)] = kNotMarked;
  ::shutdown(fd, SHUT_RDWR);
}

// Cuts the connections whose peers do not take what is sent to them: gRPC keeps it for them. True
// when there was one.
bool CutThoseThatDoNotRead() {
  std::array<pollfd, kDescriptors> waits;
  nfds_t count = 0;
  for (int fd = 0; fd < kDescriptors; ++fd) {
    if (Turns()[static_cast<size_t>(fd)].load(std::memory_order_relaxed) == kNotMarked) continue;
    waits[count++] = {fd, POLLOUT, 0};
  }
  if (::poll(waits.data(), count, 0) < 0) return false;
  bool any = false;
  for (nfds_t i = 0; i < count; ++i) {
    if (waits[i].revents != 0) continue;
    Cut(waits[i].fd, "it does not read its answers");
    any = true;
  }
  return any;
}

enum class Verdict { kGoOn, kWait, kCut };

// At the end of a turn: what becomes of `fd`, which is read; cuts it where that is the verdict. Whoever only waits has as much
// part in a large heap as who sends, so those go first that do not read; meanwhile nobody is read.
Verdict Judge(int fd) {
  const struct mallinfo2 heap = ::mallinfo2();
  const size_t in_use = heap.uordblks + heap.hblkhd;
  const size_t bound = heap_bound.load(std::memory_order_relaxed);
  if (in_use <= bound) {
    if (in_use < bound / 2 && heap_was_large.exchange(false)) ::malloc_trim(0);
    return Verdict::kGoOn;
  }
  heap_was_large = true;
  if (CutThoseThatDoNotRead()) freeing_until_ms = NowMs() + kFreeingMs;
  if (Turns()[static_cast<size_t>(fd)] == kNotMarked) return Verdict::kCut;
  if (in_use < 2 * bound && NowMs() < freeing_until_ms) return Verdict::kWait;
  Cut(fd, "it sends faster than it can be answered");
  return Verdict::kCut;
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
    const auspex::Verdict verdict = auspex::Judge(fd);
    if (verdict == auspex::Verdict::kCut) {
      errno = ECONNRESET;
      return -1;
    }
    // Who waits is judged anew before anything is read.
    if (verdict == auspex::Verdict::kGoOn) turn.store(1, std::memory_order_relaxed);
    errno = EAGAIN;
    return -1;
  }
  const ssize_t got = __real_recvmsg(fd, message, flags);
  turn.store(got > 0 ? before + static_cast<uint32_t>(got) : 1, std::memory_order_relaxed);
  return got;
}

}  // extern "C"
