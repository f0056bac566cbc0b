// SPDX-License-Identifier: AGPL-3.0-only
// keyd's side of the gate.
#include "keyd/gate/gate.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/ids/ids.h"
#include "keyd/gate/protocol.h"

namespace auspex::keyd {
namespace {

constexpr size_t kMaxMessage = 400;
// How long the gate itself may take beyond the helper's time.
constexpr int kGraceMs = 2000;

using Time = std::chrono::steady_clock::time_point;

int MsUntil(Time end) {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
  return static_cast<int>(std::max<int64_t>(0, left.count()));
}

// True when `fd` has something to read (or ended) before `end`.
bool Readable(int fd, Time end) {
  for (;;) {
    pollfd wait{fd, POLLIN, 0};
    const int ready = ::poll(&wait, 1, MsUntil(end));
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

struct Ends {
  UniqueFd in, out, err;  // the helper's, seen from here: write, read, read
};

absl::Status Gone() {
  return absl::UnavailableError(
      "the process that starts the Secret Service helper is gone; restart auspex-keyd");
}

absl::StatusOr<Ends> ReceiveStarted(int socket, Time end) {
  if (!Readable(socket, end)) return Gone();
  GateStarted started{};
  iovec part{&started, sizeof started};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(3 * sizeof(int))] = {};
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  std::array<int, 3> fds{-1, -1, -1};
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header != nullptr && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
      header->cmsg_len == CMSG_LEN(sizeof fds)) {
    std::memcpy(fds.data(), CMSG_DATA(header), sizeof fds);
  }
  Ends ends{UniqueFd(fds[0]), UniqueFd(fds[1]), UniqueFd(fds[2])};
  if (got != static_cast<ssize_t>(sizeof started)) return Gone();
  if (started.error != 0) return ErrnoStatus(started.error, "start", "auspex-keyd-secrets");
  if (!ends.in || !ends.out || !ends.err) return Gone();
  return ends;
}

// Reads what there is into `into`, counting on beyond its end; false at the end of the pipe.
bool Drain(int fd, std::span<unsigned char> into, size_t& count) {
  unsigned char spare[64];
  const bool room = count < into.size();
  const ssize_t got =
      room ? ::read(fd, into.data() + count, into.size() - count) : ::read(fd, spare, sizeof spare);
  if (got < 0) return errno == EINTR;
  count += static_cast<size_t>(got);
  return got > 0;
}

// Both outputs until both have ended. False when the time is over.
bool ReadOutputs(Ends& ends, Time end, std::span<unsigned char> output, HelperGate::End& result) {
  std::array<unsigned char, kMaxMessage> message{};
  size_t message_octets = 0;
  while (ends.out || ends.err) {
    pollfd waits[2] = {{ends.out ? ends.out.get() : -1, POLLIN, 0},
                       {ends.err ? ends.err.get() : -1, POLLIN, 0}};
    // One that never stops talking is no reason to listen for ever.
    const int left = MsUntil(end);
    const int ready = ::poll(waits, 2, left);
    if (ready == 0 || left == 0) return false;
    if (ready < 0 && errno != EINTR) return false;
    if (ready < 0) continue;
    if (waits[0].revents != 0 && !Drain(ends.out.get(), output, result.output_octets)) {
      ends.out.Reset();
    }
    if (waits[1].revents != 0 && !Drain(ends.err.get(), message, message_octets)) {
      ends.err.Reset();
    }
  }
  std::string text(reinterpret_cast<const char*>(message.data()),
                   std::min(message_octets, message.size()));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  result.message = Printable(text);
  return true;
}

}  // namespace

absl::StatusOr<std::string> FindSecretsHelper() {
  constexpr std::string_view kName = "auspex-keyd-secrets";
  char own[PATH_MAX];
  const ssize_t length = ::readlink("/proc/self/exe", own, sizeof own);
  if (length <= 0) return ErrnoStatus(errno, "readlink", "/proc/self/exe");
  std::string folder(own, static_cast<size_t>(length));
  folder.resize(folder.rfind('/') + 1);
  const std::string beside = Cat(folder, kName);
  if (::access(beside.c_str(), X_OK) == 0) return beside;
  const std::string inside = Cat(folder, "../libexec/auspex/", kName);
  if (::access(inside.c_str(), X_OK) == 0) return inside;
  return absl::NotFoundError(Cat(kName, " is neither in ", beside, " nor in ", inside));
}

absl::StatusOr<std::unique_ptr<HelperGate>> HelperGate::Start(
    const std::string& helper, const std::vector<std::string>& environment) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return ErrnoStatus(errno, "make", "the gate's socket");
  }
  UniqueFd ours(ends[0]), theirs(ends[1]);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return ErrnoStatus(errno, "fork", "the gate");
  if (child == 0) {
    // Nothing of keyd's stays open here: neither its lock nor its ready pipe outlives it.
    const int socket = ::dup2(theirs.Release(), 3);
    ::syscall(SYS_close_range, 4U, ~0U, 0U);
    const int null = ::open("/dev/null", O_RDWR);
    for (int fd : {0, 1}) ::dup2(null, fd);
    ::close(null);
    ::fcntl(socket, F_SETFD, FD_CLOEXEC);
    GateMain(socket, parent, helper, environment);
  }
  return std::unique_ptr<HelperGate>(new HelperGate(std::move(ours), child));
}

// The gate ends by itself at the end of its socket, with a helper that it waits for. Nobody is
// signalled or waited for here: by now keyd has given those system calls up.
HelperGate::~HelperGate() = default;

absl::StatusOr<HelperGate::End> HelperGate::Run(Command command, int timeout_ms,
                                                std::span<const unsigned char> input,
                                                std::span<unsigned char> output) {
  std::lock_guard lock(mutex_);
  if (!socket_) return Gone();
  const Time end = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms) +
                   std::chrono::milliseconds(kGraceMs);
  // Whatever goes wrong leaves packets that belong to nobody: the socket is given up then.
  const auto broken = [this](absl::Status status) {
    socket_.Reset();
    return status;
  };
  const GateRequest request{static_cast<uint32_t>(command), static_cast<uint32_t>(timeout_ms)};
  if (::send(socket_.get(), &request, sizeof request, MSG_NOSIGNAL) !=
      static_cast<ssize_t>(sizeof request)) {
    return broken(Gone());
  }
  absl::StatusOr<Ends> ends = ReceiveStarted(socket_.get(), end);
  if (!ends.ok()) return broken(ends.status());
  // At most a seed: a pipe takes it at once. A helper that is gone already says why elsewhere.
  if (!input.empty()) {
    [[maybe_unused]] const ssize_t written = ::write(ends->in.get(), input.data(), input.size());
  }
  ends->in.Reset();
  End result;
  GateEnded ended{};
  if (!ReadOutputs(*ends, end, output, result) || !Readable(socket_.get(), end) ||
      ::recv(socket_.get(), &ended, sizeof ended, 0) != static_cast<ssize_t>(sizeof ended)) {
    return broken(Gone());
  }
  result.timed_out = ended.timed_out != 0;
  result.exit_code = WIFEXITED(ended.wait_status) ? WEXITSTATUS(ended.wait_status)
                                                  : 128 + WTERMSIG(ended.wait_status);
  return result;
}

}  // namespace auspex::keyd
